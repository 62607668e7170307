// Monitoring reads objects of the Prometheus operator, as YAML documents on standard input, and refuses what its types do
// not know.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

func main() {
	documents := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil {
			err = check(document)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func check(document []byte) error {
	var is struct{ APIVersion, Kind string }
	if err := strict.Unmarshal(document, &is); err != nil {
		return err
	}
	kinds := map[string]any{"PodMonitor": &monitoring.PodMonitor{}, "PrometheusRule": &monitoring.PrometheusRule{}}
	into, known := kinds[is.Kind]
	if !known || is.APIVersion != "monitoring.coreos.com/v1" {
		return fmt.Errorf("%s %s: not a kind that is checked here", is.APIVersion, is.Kind)
	}
	return strict.UnmarshalStrict(document, into)
}
