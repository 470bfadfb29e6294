package main

import (
	"testing"

	"github.com/crisphandover/handover/examples/internal/demo/demotest"
)

func TestHandover(t *testing.T) { demotest.Handover(t, "slack", run) }

func TestSettings(t *testing.T) {
	demotest.Settings(t, "slack", run, map[string]string{"SLACK_TOKEN": "xoxb-token", "SLACK_SIGNING_SECRET": "signing-secret", "PUBLIC_URL": "https://bot.example.com"})
}
