package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
)

// One request; the body is a stream of JSON values.
func (n *node) open(ctx context.Context, body []byte, path string, args ...string) (io.ReadCloser, error) {
	query := url.Values{"arg": args}
	var content bytes.Buffer
	kind := ""
	if body != nil {
		form := multipart.NewWriter(&content)
		part, err := form.CreateFormFile("file", "file")
		if err != nil {
			return nil, err
		}
		part.Write(body)
		form.Close()
		kind = form.FormDataContentType()
	}
	more := ""
	if encoded := query.Encode(); encoded != "" {
		more = "?" + encoded
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.api+path+more, &content)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		said, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return nil, fmt.Errorf("%s: %s: %s", path, response.Status, said)
	}
	return response.Body, nil
}

// One request with one answer.
func (n *node) ask(ctx context.Context, into any, path string, args ...string) error {
	body, err := n.open(ctx, nil, path, args...)
	if err != nil {
		return err
	}
	defer body.Close()
	if into == nil {
		_, err = io.Copy(io.Discard, body)
		return err
	}
	return json.NewDecoder(body).Decode(into)
}

// One request whose answer is many values, until the visitor has seen enough.
func each[T any](ctx context.Context, n *node, visit func(T) bool, path string, args ...string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := n.open(ctx, nil, path, args...)
	if err != nil {
		return err
	}
	defer body.Close()
	values := json.NewDecoder(body)
	for {
		var value T
		if err := values.Decode(&value); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if visit(value) {
			return nil
		}
	}
}

// Topics and messages travel in multibase, base64url without padding.
func multibase(text string) string { return "u" + base64.RawURLEncoding.EncodeToString([]byte(text)) }

func fromMultibase(text string) (string, error) {
	if text == "" || text[0] != 'u' {
		return "", fmt.Errorf("not base64url: %q", text)
	}
	plain, err := base64.RawURLEncoding.DecodeString(text[1:])
	return string(plain), err
}
