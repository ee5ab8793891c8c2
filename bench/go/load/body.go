package main

import (
	"bytes"
	"fmt"
)

const digits = "00000000"

// template returns a function that replaces the eight zeros of a body by a number of eight digits,
// so that the lengths in a protobuf message stay right.
func template(body []byte) func(number uint64) []byte {
	at := bytes.Index(body, []byte(digits))
	return func(number uint64) []byte {
		request := bytes.Clone(body)
		if at >= 0 {
			copy(request[at:], fmt.Sprintf("%08d", number%100_000_000))
		}
		return request
	}
}

// check fails if the answer does not contain the expected text, whatever its status.
func check(answer, expect []byte) error {
	if bytes.Contains(answer, expect) {
		return nil
	}
	return fmt.Errorf("wrong answer %.300q; expected %q in it", answer, expect)
}
