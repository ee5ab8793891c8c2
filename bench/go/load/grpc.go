package main

import (
	"context"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// As many callers share a connection.
const shared = 64

// Messages as the bytes they are: the generator need not know them.
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

type place struct {
	target string
	number int
}

var connections sync.Map

// A caller on a connection that it shares with others.
func overGRPC(target, method string, caller int, body func(uint64) []byte, expect []byte) call {
	connection, err := grpc.NewClient("passthrough:///"+target,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
	if err != nil {
		panic(err)
	}
	// A client that nobody has called holds no socket; the one that was there first is kept.
	kept, _ := connections.LoadOrStore(place{target, caller / shared}, connection)
	return func(number uint64) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		request, answer := body(number), []byte(nil)
		if err := kept.(*grpc.ClientConn).Invoke(ctx, method, &request, &answer); err != nil {
			return err
		}
		return check(answer, expect)
	}
}
