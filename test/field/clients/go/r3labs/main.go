// https://github.com/r3labs/sse, which comes back by itself where a connection breaks.
//
// When a connection breaks it takes what has come of an event for a whole one: data without its end,
// or the beginning of an id, with which it then comes back. So this program waits for what follows an
// event, and puts the id of the last whole one in the place of a broken one.
package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"field/record"

	"github.com/r3labs/sse/v2"
	"gopkg.in/cenkalti/backoff.v1"
)

// A broken event is followed by the end of its connection at once.
const settled = 200 * time.Millisecond

type reader struct {
	mutex    sync.Mutex
	held     *sse.Event
	whole    []byte
	isBroken bool
	release  *time.Timer
}

func (r *reader) take(event *sse.Event) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.isBroken {
		return
	}
	r.show()
	r.held = event
	r.release.Reset(settled)
}

func (r *reader) settle() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.show()
}

func (r *reader) show() {
	if r.held == nil {
		return
	}
	if len(r.held.Event) == 0 {
		record.Show(r.held.Data, string(r.held.ID))
	}
	r.whole = r.held.ID
	r.held = nil
}

func (r *reader) connected(*sse.Client) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.isBroken = false
}

func (r *reader) disconnected(client *sse.Client) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.isBroken = true
	r.held = nil
	client.LastEventID.Store(r.whole)
}

func main() {
	r := &reader{}
	r.release = time.AfterFunc(settled, r.settle)
	client := sse.NewClient(record.URL())
	client.OnConnect(r.connected)
	client.OnDisconnect(r.disconnected)
	// Its own delay grows with every connection, also after those that went well.
	client.ReconnectStrategy = backoff.NewConstantBackOff(record.Reopen)
	for {
		// Without an error it returns after a stream that has ended in good order.
		if err := client.SubscribeRaw(r.take); err != nil {
			fmt.Fprintln(os.Stderr, "it gave up:", err)
			os.Exit(1)
		}
		time.Sleep(record.Reopen)
	}
}
