package worker

// share divides something that is limited, such as workers, between classes that take and give back.
//
// A class that is alone may hold most. There are a quarter more than that, spare, so that a class
// that holds nothing finds one free even then. The more is taken, the less one class may hold: what
// it has above that is not taken away, but what is given back goes to others. In the end classes that
// want more than there is hold the same.
//
// This is the rule of dynamic thresholds, by which network switches share buffers between ports
// (Choudhury and Hahne, 1998): a class may hold a fixed multiple of what is free. It needs no clock and
// no memory of which classes there are.
type share struct{ most, spare int }

func newShare(most int) share {
	most = max(1, most)
	return share{most: most, spare: max(1, most/4)}
}

// grants reports whether a class that holds held may take one more, when taken are held by all
// classes together, its own included.
func (s share) grants(held, taken int) bool {
	free := s.most + s.spare - taken
	return held*s.spare < s.most*free
}
