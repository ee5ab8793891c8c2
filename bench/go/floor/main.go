// A server without DSPy: for each call, by HTTP or by gRPC, it asks the model once and returns the answer.
// Its rate shows that the load generator and the model are not the limit of the other servers.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

var request = []byte(`{"model":"bench","messages":[{"role":"user","content":"What is the capital of France?"}]}`)

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

func main() {
	model := flag.String("model", "", "address of the model")
	flag.Parse()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true}}

	ask := func() ([]byte, error) {
		response, err := client.Post(*model+"/chat/completions", "application/json", bytes.NewReader(request))
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		return io.ReadAll(response.Body)
	}

	byHTTP, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	byGRPC, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		var message []byte
		if err := stream.RecvMsg(&message); err != nil {
			return err
		}
		answer, err := ask()
		if err != nil {
			return err
		}
		return stream.SendMsg(&answer)
	}))
	go func() { panic(server.Serve(byGRPC)) }()

	fmt.Println("ready", byHTTP.Addr(), byGRPC.Addr())
	panic(http.Serve(byHTTP, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		answer, err := ask()
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Write(answer)
	})))
}
