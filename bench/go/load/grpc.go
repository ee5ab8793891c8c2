package main

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// callersPerConnection is the number of callers that share one HTTP/2 connection.
const callersPerConnection = 64

// raw sends and receives messages as bytes, without decoding them.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*message.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

var _ encoding.CodecV2 = raw{}

// key names a shared connection.
type key struct {
	target string
	number int
}

var connections sync.Map

// overGRPC returns the call of a caller that shares its connection with others.
func overGRPC(target, method string, caller int, body func(uint64) []byte, expect []byte) call {
	connection, err := grpc.NewClient("passthrough:///"+target,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
	if err != nil {
		panic(err)
	}
	// An unused client opens no socket, so that a second one can be dropped.
	client, _ := connections.LoadOrStore(key{target, caller / callersPerConnection}, connection)
	return func(number uint64) error {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		request, answer := body(number), []byte(nil)
		if err := client.(*grpc.ClientConn).Invoke(ctx, method, &request, &answer); err != nil {
			return err
		}
		return check(answer, expect)
	}
}
