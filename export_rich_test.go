package handover

// What the tests of rich messages, agents' content and user data need of the inside.
var (
	Fit        = RichMessage.fit
	FromCrisp  = fromCrisp
	Metas      = UserData.metas
	ValidEmail = validEmail
	ValidPhone = validPhone

	ErrPrivate     = errPrivate
	ErrUnknownType = errUnknownType
	ErrCannotShow  = errCannotShow
)
