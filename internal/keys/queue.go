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

// Queue has keys, each with a time in any unit. It is not safe for concurrent use.
type Queue struct {
	heap  byTime
	items map[string]*item
}

// Put has the key come at a time, whether the queue has it or not.
func (q *Queue) Put(key string, at int64) {
	if i := q.items[key]; i != nil {
		i.at = at
		heap.Fix(&q.heap, i.index)
		return
	}
	if q.items == nil {
		q.items = make(map[string]*item)
	}
	i := &item{key: key, at: at}
	q.items[key] = i
	heap.Push(&q.heap, i)
}

// Remove takes the key out, if it is in.
func (q *Queue) Remove(key string) {
	if i := q.items[key]; i != nil {
		heap.Remove(&q.heap, i.index)
		delete(q.items, key)
	}
}

// Take takes out the keys whose time is not after now, at most limit of them: the earliest first, and of
// equal times in the order of the keys.
func (q *Queue) Take(now int64, limit int) (taken []string) {
	for len(taken) < limit && len(q.heap) > 0 && q.heap[0].at <= now {
		key := heap.Pop(&q.heap).(*item).key
		delete(q.items, key)
		taken = append(taken, key)
	}
	return taken
}

// item is a key's place in the queue.
type item struct {
	key   string
	at    int64
	index int // in the heap
}

// byTime implements heap.Interface: what comes next stands first.
type byTime []*item

// Len implements heap.Interface.
func (h byTime) Len() int { return len(h) }

// Less implements heap.Interface.
func (h byTime) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].at, h[j].at), cmp.Compare(h[i].key, h[j].key)) < 0
}

// Swap implements heap.Interface.
func (h byTime) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *byTime) Push(x any) {
	i := x.(*item)
	i.index = len(*h)
	*h = append(*h, i)
}

// Pop implements heap.Interface.
func (h *byTime) Pop() any {
	last := len(*h) - 1
	i := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return i
}
