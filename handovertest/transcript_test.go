package handovertest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover/handovertest"
)

func TestTranscriptShowsTheLinkOfAFile(t *testing.T) {
	conv := handovertest.NewCrisp(t, handovertest.Options{}).Open("Bea")
	conv.Operator("Ann").File("plan.pdf", "https://files.example/plan.pdf", "application/pdf")
	require.Equal(t, []string{"Ann (file): plan.pdf https://files.example/plan.pdf"}, conv.Transcript())
}
