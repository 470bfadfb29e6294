package main

import (
	"testing"

	"github.com/crisphandover/handover/examples/internal/demo/demotest"
)

func TestHandover(t *testing.T) { demotest.Handover(t, "telegram", run) }

func TestSettings(t *testing.T) {
	demotest.Settings(t, "telegram", run, map[string]string{"TELEGRAM_TOKEN": "4711:token", "PUBLIC_URL": "https://bot.example.com"})
}
