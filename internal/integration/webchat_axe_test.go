//go:build unix

package integration

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// axeVersion is the release of axe-core, from the npm registry, that looks for accessibility faults.
const axeVersion = "4.14.1"

// fetchAxe fetches axe-core once for all tests.
var fetchAxe = sync.OnceValues(func() (source string, err error) {
	dir, err := os.MkdirTemp("", "handover-axe")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	pack := exec.Command("npm", "pack", "axe-core@"+axeVersion, "--silent", "--pack-destination", dir)
	if output, err := pack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm and its registry are needed: %w\n%s", err, output)
	}
	file, err := os.Open(filepath.Join(dir, "axe-core-"+axeVersion+".tgz"))
	if err != nil {
		return "", err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return "", err
	}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if err != nil {
			return "", fmt.Errorf("no axe.min.js in it: %w", err)
		}
		if header.Name == "package/axe.min.js" {
			all, err := io.ReadAll(archive)
			return string(all), err
		}
	}
})

func axeSource(t *testing.T) string {
	t.Helper()
	source, err := fetchAxe()
	require.NoError(t, err, "axe-core cannot be had")
	return source
}

// requireAccessible requires that axe finds nothing serious, and that it did look.
func (p *tab) requireAccessible(axe, what string) {
	p.t.Helper()
	_, err := chromedp.Run(p.ctx, chromedp.Evaluate[chromedp.Void](axe))
	require.NoError(p.t, err)
	result := eval[struct {
		Passes int      `json:"passes"`
		Faults []string `json:"faults"`
	}](p, `axe.run().then((r) => ({passes: r.passes.length, faults: r.violations
		.filter((v) => ["serious", "critical"].includes(v.impact))
		.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.html + " " + n.failureSummary))}))`)
	require.Empty(p.t, result.Faults, "%s", what)
	require.Greater(p.t, result.Passes, 15, "%s", what)
	require.Empty(p.t, eval[[]string](p, `[...document.querySelectorAll("textarea, input, select")]
		.filter((e) => e.checkVisibility() && ![...e.labels].some((l) => l.textContent.trim()) && !e.ariaLabel).map((e) => e.id)`), "fields without a label, %s", what)
	require.Equal(p.t, 0, eval[int](p, `[document.documentElement, ...document.querySelectorAll(".log")].filter((e) => e.scrollWidth > e.clientWidth).length`), "nothing is cut, %s", what)
}

// TestWebchatAccessible has axe look at the pages in the middle of a handover.
func TestWebchatAccessible(t *testing.T) {
	axe := axeSource(t)
	browser, server := startBrowser(t), startWebchat(t)
	p := newUser(t, browser, "Anakin", server.base)
	p.goes()
	p.says("hello")
	p.chooses("Talk to a human")
	p.waits(`document.querySelectorAll("#log .replies button").length === 2`)
	p.requireAccessible(axe, "nobody there")
	p.comes()
	p.presses(".chat > header", "Talk to a human")
	p.isTold("Waiting for a person")
	p.opens("Anakin Skywalker")
	p.answers("Look at https://bikes.example/, please.")
	p.notes("A note.")
	p.sends("carousel", "Cards", "One | Light | See it | https://bikes.example/one\nTwo | For two\nThree | For three")
	p.sendsFile("bike.png", bike)
	p.sendsFile("bill.pdf", []byte("%PDF-1.7"))
	p.edits("A note.", "A better note.")
	p.sends("picker", "Which?", "This\nThat")
	p.waits(`document.querySelectorAll("#log .message").length === 11`)
	p.says("You decide.")
	eval[bool](p.desk, `(facts.open = true)`)

	for _, screen := range []struct {
		name          string
		width, height int64
	}{{"desktop", 1280, 800}, {"phone", 390, 740}} {
		for _, dark := range []bool{false, true} {
			for _, side := range []*tab{p, p.desk} {
				if side == p.desk && dark != (screen.name == "phone") {
					continue // the inbox is a demonstration's: light on a desk, dark on a phone
				}
				side.size(screen.width, screen.height)
				side.dark(dark)
				side.requireAccessible(axe, fmt.Sprintf("%s, %s, dark %t", side.name, screen.name, dark))
			}
			p.shoot("webchat-" + screen.name + map[bool]string{true: "-dark"}[dark] + "-accessible")
		}
	}

	history := newTab(t, browser, "history", eval[string](p.desk, `document.querySelector("#thread a").href`))
	for _, dark := range []bool{false, true} {
		history.dark(dark)
		history.requireAccessible(axe, fmt.Sprintf("history, dark %t", dark))
	}
}
