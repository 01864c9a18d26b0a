// https://github.com/coder/websocket, coming back as docs/protocol.md says: the position is the last
// cursor, with each partition's last offset plus 1.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"field/record"

	"github.com/coder/websocket"
)

type frame struct {
	Cursor    string `json:"cursor"`
	Partition int    `json:"partition"`
	Offset    *int64 `json:"offset"`
}

func main() {
	topic := ""
	positions := map[int]int64{}
	for {
		read(address(topic, positions), func(text []byte) {
			var found frame
			if json.Unmarshal(text, &found) != nil {
				return
			}
			if found.Offset != nil {
				positions[found.Partition] = *found.Offset + 1
				record.Show(text, "")
			} else if name, places, ok := strings.Cut(found.Cursor, ":"); ok {
				topic = name
				for _, place := range strings.Split(places, ",") {
					partition, offset, _ := strings.Cut(place, "=")
					number, _ := strconv.Atoi(partition)
					positions[number], _ = strconv.ParseInt(offset, 10, 64)
				}
			}
		})
		time.Sleep(record.Reopen)
	}
}

func address(topic string, positions map[int]int64) string {
	if len(positions) == 0 {
		return record.URL()
	}
	places := []string{}
	for partition, offset := range positions {
		places = append(places, fmt.Sprintf("%d=%d", partition, offset))
	}
	base, _, _ := strings.Cut(record.URL(), "?")
	return base + "?cursor=" + url.QueryEscape(topic+":"+strings.Join(places, ","))
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
