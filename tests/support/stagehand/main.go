// stagehand does for the proofs what no program of the tests can do in another namespace: it starts
// a pod's program as a container runtime would, serves and fetches a page, and relays connections.
// One static binary without dependencies, so that it runs in an empty root too.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "stagehand:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return fmt.Errorf("usage: contain FILE | serve ADDRESS TEXT | get ADDRESS URL | relay ADDRESS TARGET")
	}
	switch command, rest := arguments[0], arguments[1:]; {
	case command == "contain" && len(rest) == 1:
		return contain(rest[0])
	case command == "serve" && len(rest) == 2:
		return serve(rest[0], rest[1])
	case command == "get" && len(rest) == 2:
		return get(rest[0], rest[1])
	case command == "relay" && len(rest) == 2:
		return relay(rest[0], rest[1])
	}
	return fmt.Errorf("not understood: %q", arguments)
}

// serve answers every request with the text.
func serve(address, text string) error {
	return http.ListenAndServe(address, http.HandlerFunc(func(to http.ResponseWriter, request *http.Request) {
		fmt.Fprintf(to, "%s %s %s\n", text, request.Host, request.URL.Path)
	}))
}

// get fetches the URL from the address, whatever the URL's host is, and prints the answer as JSON.
func get(address, url string) error {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	client := &http.Client{
		Transport:     transport,
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return err
	}
	said := map[string]any{"status": answer.StatusCode, "location": answer.Header.Get("Location"), "body": string(body)}
	if answer.TLS != nil {
		said["certificate"] = answer.TLS.PeerCertificates[0].Subject.CommonName
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

// relay passes connections on, as kube-proxy would for the address of a Service, until its standard
// input ends.
func relay(address, target string) error {
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for {
		from, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer from.Close()
			to, err := net.Dial("tcp", target)
			if err != nil {
				return
			}
			defer to.Close()
			go func() {
				io.Copy(to, from)
				to.(*net.TCPConn).CloseWrite()
			}()
			io.Copy(from, to)
		}()
	}
}
