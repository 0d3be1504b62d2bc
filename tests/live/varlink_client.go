// SPDX-License-Identifier: MIT

// A client of io.energat that is not ours: the Varlink project's own library for Go.
//
//	varlink_client SOCKET SCENARIO
//
// Exit status 0 when the scenario holds; 1 when not, with one line that says what is wrong.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/varlink/go/varlink"
	"github.com/varlink/go/varlink/idl"
)

const (
	limit    = 20 * time.Second
	interval = 0.25 // seconds
)

type client struct {
	*varlink.Connection
	ctx context.Context
}

// Service: who it is, and what it speaks.
func introspection(c client) error {
	var vendor, product, version, url string
	var interfaces []string
	if err := c.GetInfo(c.ctx, &vendor, &product, &version, &url, &interfaces); err != nil {
		return fmt.Errorf("GetInfo: %w", err)
	}
	if product != "energatd" || version == "" {
		return fmt.Errorf("product '%s', version '%s'", product, version)
	}
	if !reflect.DeepEqual(interfaces, []string{"org.varlink.service", "io.energat"}) {
		return fmt.Errorf("interfaces %v", interfaces)
	}
	return nil
}

// The library's parser reads both descriptions, and finds in them what can be called.
func description(c client) error {
	for name, wanted := range map[string][]string{
		"io.energat":          {"Follow", "GetRows", "GetStatus"},
		"org.varlink.service": {"GetInfo", "GetInterfaceDescription"},
	} {
		text, err := c.GetInterfaceDescription(c.ctx, name)
		if err != nil {
			return fmt.Errorf("GetInterfaceDescription of %s: %w", name, err)
		}
		parsed, err := idl.New(text)
		if err != nil {
			return fmt.Errorf("%s: the parser of varlink/go says: %w", name, err)
		}
		if parsed.Name != name {
			return fmt.Errorf("%s: it describes '%s'", name, parsed.Name)
		}
		methods := map[string]bool{}
		for _, method := range parsed.Methods {
			methods[method.Name] = true
		}
		for _, method := range wanted {
			if !methods[method] {
				return fmt.Errorf("%s: method %s is not described", name, method)
			}
		}
	}
	return nil
}

// The reply of GetStatus has the fields that the library's parser finds in its description.
func call(c client) error {
	text, err := c.GetInterfaceDescription(c.ctx, "io.energat")
	if err != nil {
		return err
	}
	parsed, err := idl.New(text)
	if err != nil {
		return err
	}
	var reply map[string]json.RawMessage
	if err := c.Call(c.ctx, "io.energat.GetStatus", nil, &reply); err != nil {
		return fmt.Errorf("GetStatus: %w", err)
	}
	var declared, sent []string
	for _, method := range parsed.Methods {
		if method.Name == "GetStatus" {
			for _, field := range method.Out.Fields {
				declared = append(declared, field.Name)
			}
		}
	}
	for name := range reply {
		sent = append(sent, name)
	}
	sort.Strings(declared)
	sort.Strings(sent)
	if len(declared) == 0 || !reflect.DeepEqual(declared, sent) {
		return fmt.Errorf("declared %v, sent %v", declared, sent)
	}
	return nil
}

type followed struct {
	Event  string
	Target int64
	Report *struct {
		Pid        int64
		Duration_s float64
		Cpu_s      float64
		Share      struct{ Package_j *float64 }
	}
}

// A stream: "attached", some intervals, and "final" when the process has ended.
func stream(c client) error {
	child := exec.Command("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; sleep 0.8")
	if err := child.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	receive, err := c.Send(c.ctx, "io.energat.Follow", map[string]interface{}{
		"pid": child.Process.Pid, "interval_s": interval}, varlink.More)
	if err != nil {
		return err
	}
	var events []string
	var last followed
	for {
		last = followed{}
		flags, err := receive(c.ctx, &last)
		if err != nil {
			return fmt.Errorf("after %v: %w", events, err)
		}
		events = append(events, last.Event)
		if flags&varlink.Continues == 0 {
			break
		}
	}
	if err := <-ended; err != nil {
		return err
	}
	said := strings.Join(events, " ")
	if !strings.HasPrefix(said, "attached interval interval") || !strings.HasSuffix(said, "interval final") ||
		strings.Count(said, "final") != 1 {
		return fmt.Errorf("events: %s", said)
	}
	r := last.Report
	if r == nil || r.Pid != int64(child.Process.Pid) || r.Duration_s < 0.8 || r.Cpu_s <= 0 ||
		r.Share.Package_j == nil || *r.Share.Package_j <= 0 {
		return fmt.Errorf("the last report: %+v", r)
	}
	return nil
}

// Errors come with their names and parameters, and end the call, not the connection.
func errors(c client) error {
	var nothing interface{}
	err := c.Call(c.ctx, "io.energat.Follow", map[string]interface{}{"pid": 1 << 30}, &nothing)
	e, ok := err.(*varlink.Error)
	if !ok || e.Name != "io.energat.NoSuchProcess" {
		return fmt.Errorf("following nobody: %v", err)
	}
	var where struct{ Pid int64 }
	if raw, ok := e.Parameters.(*json.RawMessage); !ok || json.Unmarshal(*raw, &where) != nil ||
		where.Pid != 1<<30 {
		return fmt.Errorf("its parameters: %v", e.Parameters)
	}
	err = c.Call(c.ctx, "io.energat.Follow", map[string]interface{}{"pid": "x"}, &nothing)
	if parameter, ok := err.(*varlink.InvalidParameter); !ok || parameter.Parameter != "pid" {
		return fmt.Errorf("a pid that is none: %v", err)
	}
	err = c.Call(c.ctx, "io.energat.Nonsense", nil, &nothing)
	if _, ok := err.(*varlink.MethodNotFound); !ok {
		return fmt.Errorf("a method that is none: %v", err)
	}
	err = c.Call(c.ctx, "io.nobody.Here", nil, &nothing)
	if _, ok := err.(*varlink.InterfaceNotFound); !ok {
		return fmt.Errorf("an interface that is none: %v", err)
	}
	return introspection(c)
}

func main() {
	scenarios := map[string]func(client) error{"introspection": introspection,
		"description": description, "call": call, "stream": stream, "errors": errors}
	if len(os.Args) != 3 || scenarios[os.Args[2]] == nil {
		fmt.Fprintln(os.Stderr, "usage: varlink_client SOCKET SCENARIO")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	connection, err := varlink.NewConnection(ctx, "unix:"+os.Args[1])
	if err == nil {
		err = scenarios[os.Args[2]](client{connection, ctx})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
