package main

import (
	"testing"

	"github.com/crisphandover/handover/examples/internal/demo/demotest"
)

func TestHandover(t *testing.T) { demotest.Handover(t, "messenger", run) }

func TestSettings(t *testing.T) {
	demotest.Settings(t, "messenger", run, map[string]string{
		"MESSENGER_PAGE_ID": "1", "MESSENGER_TOKEN": "page-token", "MESSENGER_APP_SECRET": "app-secret", "MESSENGER_VERIFY_TOKEN": "verify-token",
	})
}
