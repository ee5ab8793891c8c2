package main

import (
	"bytes"
	"fmt"
)

const digits = "00000000"

// Gives a request's bytes with a number where it has eight zeros; their count stays, so a message's lengths still hold.
func template(body []byte) func(number uint64) []byte {
	at := bytes.Index(body, []byte(digits))
	return func(number uint64) []byte {
		own := bytes.Clone(body)
		if at >= 0 {
			copy(own[at:], fmt.Sprintf("%08d", number%100_000_000))
		}
		return own
	}
}

// An answer that lacks what is expected is a failure, however its status reads.
func check(answer, expect []byte) error {
	if bytes.Contains(answer, expect) {
		return nil
	}
	return fmt.Errorf("not the answer: %.300q", answer)
}
