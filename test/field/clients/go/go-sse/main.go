// https://github.com/tmaxmax/go-sse, which comes back by itself.
package main

import (
	"fmt"
	"net/http"
	"os"

	"field/record"

	"github.com/tmaxmax/go-sse"
)

func main() {
	request, err := http.NewRequest(http.MethodGet, record.URL(), http.NoBody)
	if err != nil {
		panic(err)
	}
	connection := sse.NewConnection(request)
	connection.SubscribeMessages(func(event sse.Event) {
		record.Show([]byte(event.Data), event.LastEventID)
	})
	fmt.Fprintln(os.Stderr, "it gave up:", connection.Connect())
	os.Exit(1)
}
