// Command hello is all that the pods of the smoke test run:
//
//	hello serve               HTTP on :8080, says who asked; /healthz for probes
//	hello webhook CERT KEY    HTTPS on :8443; labels every object it is shown
//	hello get URL             fetch and print
//	hello lookup TYPE NAME [SERVER]
//	                          ask the DNS for A, MX or TXT
//	hello cat FILE...         print files
//	hello sleep               until told to end
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	args := append(os.Args[1:], "", "", "", "")
	stop, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	switch args[0] {
	case "serve":
		log.Print("serving")
		http.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {})
		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			name, _ := os.Hostname()
			from, _, _ := net.SplitHostPort(r.RemoteAddr)
			fmt.Fprintf(w, "hello from %s, version %s, to you from %s\n", name, os.Getenv("VERSION"), from)
		})
		go func() { log.Fatal(http.ListenAndServe(":8080", nil)) }()
		<-stop.Done()
	case "webhook":
		http.HandleFunc("/", mutate)
		go func() { log.Fatal(http.ListenAndServeTLS(":8443", args[1], args[2], nil)) }()
		<-stop.Done()
	case "get":
		client := http.Client{Timeout: 5 * time.Second}
		response, err := client.Get(args[1])
		check(err)
		if response.StatusCode != http.StatusOK {
			log.Fatal(response.Status)
		}
		_, err = io.Copy(os.Stdout, response.Body)
		check(err)
	case "lookup":
		lookup(args[1], args[2], args[3])
	case "cat":
		for _, name := range os.Args[2:] {
			data, err := os.ReadFile(name)
			check(err)
			os.Stdout.Write(data)
		}
	case "sleep":
		<-stop.Done()
	default:
		log.Fatalf("unknown command %q", args[0])
	}
}

func lookup(kind, name, server string) {
	resolver, ctx := net.Resolver{PreferGo: true}, context.Background()
	if server != "" {
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(server, "53"))
		}
	}
	var answer any
	var err error
	switch kind {
	case "A":
		answer, err = resolver.LookupHost(ctx, name)
	case "TXT":
		answer, err = resolver.LookupTXT(ctx, name)
	case "MX":
		var records []*net.MX
		records, err = resolver.LookupMX(ctx, name)
		for _, mx := range records {
			fmt.Println(mx.Pref, mx.Host)
		}
	}
	check(err)
	if answer != nil {
		fmt.Println(answer)
	}
}

// mutate answers an AdmissionReview with a patch that adds an annotation.
func mutate(w http.ResponseWriter, r *http.Request) {
	var review struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	patch := `[{"op":"add","path":"/metadata/annotations","value":{"touched":"by-webhook"}}]`
	json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"response": map[string]any{"uid": review.Request.UID, "allowed": true, "patchType": "JSONPatch",
			"patch": base64.StdEncoding.EncodeToString([]byte(patch))},
	})
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
