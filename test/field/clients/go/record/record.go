// Package record is what all of these programs share: the address that they read, and the line they
// print for each record.
package record

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// Reopen is the time after which a program without a time of its own comes back.
const Reopen = time.Second

// URL is the route's address, with its parameters.
func URL() string { return os.Args[1] }

type place struct {
	Partition int    `json:"partition"`
	Offset    int64  `json:"offset"`
	ID        string `json:"id"`
}

// Show prints a record's place and the id that came with it.
func Show(data []byte, id string) {
	var found place
	if err := json.Unmarshal(data, &found); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s\n", err, data)
		os.Exit(1)
	}
	found.ID = id
	line, err := json.Marshal(found)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(append(line, '\n'))
}
