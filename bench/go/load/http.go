package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"time"
)

const patience = 60 * time.Second

// A caller with a connection of its own, which it keeps.
func overHTTP(target, path string, _ int, body func(uint64) []byte, expect []byte) call {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}}
	return func(number uint64) error {
		response, err := client.Post("http://"+target+path, "application/json", bytes.NewReader(body(number)))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("HTTP %d: %.300s", response.StatusCode, answer)
		}
		return check(answer, expect)
	}
}
