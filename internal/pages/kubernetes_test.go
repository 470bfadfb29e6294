package pages

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert/yaml"
	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/handovertest"
	"github.com/crisphandover/handover/internal/guide"
)

// deployment has the members of a Deployment that docs/kubernetes.md uses.
type deployment struct {
	APIVersion, Kind string
	Metadata         struct{ Name string }
	Spec             struct {
		Replicas int
		Selector struct{ MatchLabels map[string]string }
		Strategy struct {
			RollingUpdate struct{ MaxUnavailable int }
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				TerminationGracePeriodSeconds int
				Containers                    []container
			}
		}
	}
}

type container struct {
	Name, Image                   string
	Ports                         []struct{ ContainerPort int }
	Env                           []struct{ Name, Value string }
	EnvFrom                       []struct{ SecretRef struct{ Name string } }
	ReadinessProbe, LivenessProbe probe
	Lifecycle                     struct {
		PreStop struct{ Sleep struct{ Seconds int } }
	}
}

type probe struct {
	HTTPGet struct {
		Path string
		Port int
	}
	PeriodSeconds, FailureThreshold int
}

// database is one that can be reached.
type database struct{ driver.Conn }

func (d database) Connect(context.Context) (driver.Conn, error) { return d, nil }
func (database) Driver() driver.Driver                          { return nil }
func (database) Close() error                                   { return nil }

// The deployment of docs/kubernetes.md has names that Kubernetes knows, and fits the code of the guide.
func TestKubernetes(t *testing.T) {
	page, err := os.ReadFile("docs/kubernetes.md")
	require.NoError(t, err)
	blocks := guide.Blocks(string(page))
	require.Equal(t, "yaml", blocks[0].Lang)
	var d deployment
	var members any
	require.NoError(t, yaml.Unmarshal([]byte(blocks[0].Code), &members))
	raw, err := json.Marshal(members)
	require.NoError(t, err)
	strict := json.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	require.NoError(t, strict.Decode(&d))
	require.Equal(t, []string{"apps/v1", "Deployment"}, []string{d.APIVersion, d.Kind})
	require.Equal(t, d.Spec.Selector.MatchLabels, d.Spec.Template.Metadata.Labels)
	require.Len(t, d.Spec.Template.Spec.Containers, 1)
	c := d.Spec.Template.Spec.Containers[0]
	require.Equal(t, "ADDR", c.Env[0].Name)
	require.Equal(t, fmt.Sprintf(":%d", c.Ports[0].ContainerPort), c.Env[0].Value)
	require.Greater(t, d.Spec.Template.Spec.TerminationGracePeriodSeconds, c.Lifecycle.PreStop.Sleep.Seconds+20, "Shutdown has 20 seconds")

	// The secret has what the README's program and the guide read.
	code, err := os.ReadFile("examples/firstbot/main.go")
	require.NoError(t, err)
	var read []string
	for _, name := range regexp.MustCompile(`os\.Getenv\("(\w+)"\)`).FindAllStringSubmatch(string(code)+string(page), -1) {
		read = append(read, name[1])
	}
	slices.Sort(read)
	read = slices.DeleteFunc(read, func(name string) bool { return name == "ADDR" || name == "CRISP_URL" })
	_, secret, _ := strings.Cut(blocks[0].Code, "{name: bot}}] # ")
	secret, _, _ = strings.Cut(secret, "\n")
	require.ElementsMatch(t, read, strings.Split(secret, ", "))

	// The probes are served, and follow the process and its database.
	mux := http.NewServeMux()
	config := handovertest.NewCrisp(t, handovertest.Options{}).Config()
	config.Deliver = func(context.Context, handover.Session, handover.Message) (string, error) { return "", nil }
	h, err := handover.New(config)
	require.NoError(t, err)
	db := sql.OpenDB(database{})
	readmeProbes(mux, h, db)
	asked := func(p probe) int {
		require.Equal(t, c.Ports[0].ContainerPort, p.HTTPGet.Port)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, p.HTTPGet.Path, nil))
		return w.Code
	}
	require.Equal(t, http.StatusOK, asked(c.LivenessProbe))
	require.Equal(t, http.StatusOK, asked(c.ReadinessProbe))
	require.NoError(t, h.Shutdown(t.Context()))
	require.Equal(t, http.StatusServiceUnavailable, asked(c.ReadinessProbe))
	require.NoError(t, db.Close())
	require.Equal(t, http.StatusServiceUnavailable, asked(c.ReadinessProbe))
	require.Equal(t, http.StatusOK, asked(c.LivenessProbe))
}
