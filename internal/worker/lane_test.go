package worker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// queued returns a lane in which jobs wait: for each letter one of that class.
func queued(workers int, classes string) *lane {
	l := newLane(workers, 100)
	for _, c := range classes {
		l.push(&task{job: Job{Class: string(c)}})
	}
	return l
}

func TestLaneTakesTurns(t *testing.T) {
	l, order := queued(4, "aaabbc"), ""
	for l.queued > 0 {
		task := l.next()
		order += task.job.Class
		l.release(task)
	}
	require.Equal(t, "abcaba", order)
	require.Nil(t, l.next())
	require.Empty(t, l.classes, "a class without jobs is forgotten")
}

// What is free goes to the class that holds the least, whoever waits longer.
func TestLaneEvensOut(t *testing.T) {
	l := queued(8, "aaaaaaaaaabbbbbb")
	var running []*task
	for task := l.next(); task != nil; task = l.next() {
		running = append(running, task)
	}
	require.Len(t, running, 9)
	require.Equal(t, 5, l.classes["a"].running)
	require.Equal(t, 4, l.classes["b"].running)
	l.push(&task{job: Job{Class: "c"}})
	require.Equal(t, "c", l.next().job.Class, "one is kept free for a class that has none")
	l.push(&task{job: Job{Class: "d"}})
	require.Nil(t, l.next(), "all are taken")
	for _, task := range running {
		if task.job.Class == "a" {
			l.release(task)
			break
		}
	}
	require.Equal(t, "d", l.next().job.Class)
	require.Nil(t, l.next())
}

func TestLaneKeepsTheOrderWithinAClass(t *testing.T) {
	l := newLane(1, 100)
	for _, key := range []string{"1", "2", "3"} {
		l.push(&task{job: Job{Key: key}})
	}
	for _, key := range []string{"1", "2", "3"} {
		task := l.next()
		require.Equal(t, key, task.job.Key)
		require.Nil(t, l.next())
		l.release(task)
	}
}
