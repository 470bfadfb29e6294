// Package keys holds what is known of many things that are named by a key, mostly no more of them than the
// key:
//
//   - [Queue] gives out keys in the order of their times.
//   - [Feed] tells those who listen of keys, without waiting for them.
//   - [Counter] counts what goes on under a key.
//   - [Shelf] keeps values for whoever takes them next. It keeps more than keys.
//   - [AfterPrefix] gives the end of the range of keys that begin alike.
//
// The zero values are ready, but for that of Shelf, which [NewShelf] makes. What any of it costs hardly grows with the number of keys.
package keys

import (
	"cmp"
	"container/heap"
)

// Queue has items, each with a time in any unit. It is not safe for concurrent use.
type Queue struct{ heap byTime }

// Item is something with a key that a Queue may have. It knows its place there, so that the queue needs no index: whoever
// keeps many things embeds it in each.
type Item struct {
	Key   string
	at    int64
	place int32 // in the heap, from 1; 0 outside of it
}

// Put has the item come at a time, whether the queue has it or not.
func (q *Queue) Put(i *Item, at int64) {
	i.at = at
	if i.place > 0 {
		heap.Fix(&q.heap, int(i.place)-1)
		return
	}
	heap.Push(&q.heap, i)
}

// Remove takes the item out, if it is in.
func (q *Queue) Remove(i *Item) {
	if i.place > 0 {
		heap.Remove(&q.heap, int(i.place)-1)
	}
}

// Take takes out the items whose time is not after now, at most limit of them: the earliest first, and of
// equal times in the order of their keys.
func (q *Queue) Take(now int64, limit int) (taken []*Item) {
	for len(taken) < limit && len(q.heap) > 0 && q.heap[0].at <= now {
		taken = append(taken, heap.Pop(&q.heap).(*Item))
	}
	return taken
}

// byTime implements heap.Interface: what comes next stands first.
type byTime []*Item

// Len implements heap.Interface.
func (h byTime) Len() int { return len(h) }

// Less implements heap.Interface.
func (h byTime) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].at, h[j].at), cmp.Compare(h[i].Key, h[j].Key)) < 0
}

// Swap implements heap.Interface.
func (h byTime) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = int32(i)+1, int32(j)+1
}

// Push implements heap.Interface.
func (h *byTime) Push(x any) {
	i := x.(*Item)
	*h = append(*h, i)
	i.place = int32(len(*h))
}

// Pop implements heap.Interface.
func (h *byTime) Pop() any {
	last := len(*h) - 1
	i := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	i.place = 0
	return i
}
