package handover

// What the tests of rich messages, agents' content and user data need of the inside.
var (
	Fit       = RichMessage.fit
	FromCrisp = fromCrisp
	Metas     = UserData.metas

	ErrPrivate     = errPrivate
	ErrUnknownType = errUnknownType
	ErrCannotShow  = errCannotShow
)
