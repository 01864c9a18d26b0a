// https://github.com/coder/websocket, coming back as docs/websocket.md says: with the newest cursor.
package main

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"field/record"

	"github.com/coder/websocket"
)

type frame struct {
	Cursor string `json:"cursor"`
	Topic  string `json:"topic"`
}

func main() {
	cursor := ""
	for {
		read(address(cursor), func(text []byte) {
			var found frame
			if json.Unmarshal(text, &found) != nil {
				return
			}
			if found.Cursor != "" {
				cursor = found.Cursor
			}
			if found.Topic != "" {
				record.Show(text, cursor)
			}
		})
		time.Sleep(record.Reopen)
	}
}

func address(cursor string) string {
	if cursor == "" {
		return record.URL()
	}
	base, _, _ := strings.Cut(record.URL(), "?")
	return base + "?cursor=" + url.QueryEscape(cursor)
}

func read(address string, take func(text []byte)) {
	ctx := context.Background()
	socket, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		return
	}
	defer socket.CloseNow()
	for {
		_, text, err := socket.Read(ctx)
		if err != nil {
			return
		}
		take(text)
	}
}
