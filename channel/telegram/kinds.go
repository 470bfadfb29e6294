package telegram

import (
	"encoding/json"
	"strings"

	"github.com/crisphandover/handover/internal/jsonplace"
)

// aside are the members of a message that are not what the user says: who, when and where, what it refers to, how it
// looks; and what read takes.
const aside = `message_id message_thread_id direct_messages_topic from sender_chat sender_boost_count sender_business_bot
	sender_tag date guest_bot_caller_user guest_bot_caller_chat business_connection_id chat forward_origin forward_from
	forward_from_chat forward_from_message_id forward_signature forward_sender_name forward_date is_topic_message
	is_automatic_forward reply_to_message external_reply quote reply_to_story reply_to_checklist_task_id via_bot edit_date
	has_protected_content is_from_offline is_paid_post media_group_id author_signature paid_star_count text entities
	link_preview_options suggested_post_info effect_id caption caption_entities show_caption_above_media has_media_spoiler
	reply_markup photo document animation video video_note voice audio sticker location venue contact dice poll checklist game`

// service are messages of Telegram's own, which nobody has written.
const service = `new_chat_members new_chat_member new_chat_participant left_chat_member left_chat_participant new_chat_title
	new_chat_photo delete_chat_photo group_chat_created supergroup_chat_created channel_chat_created
	message_auto_delete_timer_changed migrate_to_chat_id migrate_from_chat_id pinned_message connected_website
	write_access_allowed proximity_alert_triggered boost_added chat_background_set checklist_tasks_done
	checklist_tasks_added direct_message_price_changed forum_topic_created forum_topic_edited forum_topic_closed
	forum_topic_reopened general_forum_topic_hidden general_forum_topic_unhidden giveaway_created giveaway
	giveaway_winners giveaway_completed paid_message_price_changed suggested_post_approved
	suggested_post_approval_failed suggested_post_declined suggested_post_paid suggested_post_refunded
	video_chat_scheduled video_chat_started video_chat_ended video_chat_participants_invited chat_owner_left
	chat_owner_changed`

var noWords = strings.Fields(aside + " " + service)

// UnmarshalJSON reads a message, and notes what of it is not known.
func (m *message) UnmarshalJSON(raw []byte) error {
	type known message
	if err := json.Unmarshal(raw, (*known)(m)); err != nil {
		return err
	}
	others, err := jsonplace.Others(raw, noWords)
	if len(others) > 0 {
		m.unknown = others[0]
	}
	return err
}
