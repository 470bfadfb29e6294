package main

import (
	"testing"

	"github.com/crisphandover/handover/examples/internal/demo/demotest"
)

func TestHandover(t *testing.T) { demotest.Handover(t, "whatsapp", run) }

func TestSettings(t *testing.T) {
	demotest.Settings(t, "whatsapp", run, map[string]string{
		"WHATSAPP_PHONE_NUMBER_ID": "1", "WHATSAPP_TOKEN": "access-token", "WHATSAPP_APP_SECRET": "app-secret",
		"WHATSAPP_VERIFY_TOKEN": "verify-token", "PUBLIC_URL": "https://bot.example.com",
	})
}
