// Oracle answers questions about hashes with the code that the answers come from: Argo Rollouts and Kubernetes.
//
// It reads a question a line and writes an answer a line, both JSON; see question and answer. The tests of
// tidegate.core.hashing compare themselves with it.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"log"
	"os"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/conditions"
	"github.com/argoproj/argo-rollouts/utils/hash"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	kjson "sigs.k8s.io/json"
)

// Exactly one of Template, Steps and Equal is given.
type question struct {
	Template   json.RawMessage   `json:"template"`
	Collisions *int32            `json:"collisions"`
	Steps      json.RawMessage   `json:"steps"`
	Equal      []json.RawMessage `json:"equal"` // two templates
}

type answer struct {
	Bytes    string          `json:"bytes,omitempty"`    // what json.Marshal made of it
	Hash     string          `json:"hash,omitempty"`     //
	Stored   json.RawMessage `json:"stored,omitempty"`   // the first template of Equal as the API server stores it
	Equal    bool            `json:"equal"`              //
	Mistaken string          `json:"mistaken,omitempty"` // why the question has no answer
}

func main() {
	log.SetFlags(0)
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) == 0 && err != nil {
			return
		}
		var asked question
		if err := json.Unmarshal(line, &asked); err != nil {
			log.Fatalf("not a question: %v", err)
		}
		given, err := reply(asked)
		if err != nil {
			given = answer{Mistaken: err.Error()}
		}
		if err := out.Encode(given); err != nil {
			log.Fatal(err)
		}
	}
}

func reply(asked question) (answer, error) {
	switch {
	case asked.Template != nil:
		var template corev1.PodTemplateSpec
		if err := decode(asked.Template, &template); err != nil {
			return answer{}, err
		}
		return marshalled(template, hash.ComputePodTemplateHash(&template, asked.Collisions))
	case asked.Equal != nil:
		return compare(asked.Equal[0], asked.Equal[1])
	default:
		canary := &v1alpha1.CanaryStrategy{}
		if err := decode(asked.Steps, &canary.Steps); err != nil {
			return answer{}, err
		}
		rollout := &v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Strategy: v1alpha1.RolloutStrategy{Canary: canary}}}
		return marshalled(canary.Steps, conditions.ComputeStepHash(rollout))
	}
}

// decode reads what the API server would send, which keeps no text of its own: keys sorted, numbers in Go's form.
func decode(data []byte, into any) error {
	var loose any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, &loose); err != nil {
		return err
	}
	data, err := json.Marshal(loose)
	if err != nil {
		return err
	}
	return kjson.UnmarshalCaseSensitivePreserveInts(data, into)
}

func marshalled(value any, hash string) (answer, error) {
	data, err := json.Marshal(value)
	return answer{Bytes: string(data), Hash: hash}, err
}

func compare(a, b json.RawMessage) (answer, error) {
	first, err := stored(a)
	if err != nil {
		return answer{}, err
	}
	second, err := stored(b)
	if err != nil {
		return answer{}, err
	}
	data, err := json.Marshal(first)
	if err != nil {
		return answer{}, err
	}
	delete(first.Labels, v1alpha1.DefaultRolloutUniqueLabelKey)
	delete(second.Labels, v1alpha1.DefaultRolloutUniqueLabelKey)
	return answer{Stored: data, Equal: equality.Semantic.DeepEqual(first, second)}, nil
}

// stored sends a template through a ReplicaSet as the API server does: defaults, the internal version, and back
// over the wire.
func stored(data json.RawMessage) (*corev1.PodTemplateSpec, error) {
	given := &appsv1.ReplicaSet{}
	if err := decode(data, &given.Spec.Template); err != nil {
		return nil, err
	}
	legacyscheme.Scheme.Default(given)
	internal := &apps.ReplicaSet{}
	if err := legacyscheme.Scheme.Convert(given, internal, nil); err != nil {
		return nil, err
	}
	kept := &appsv1.ReplicaSet{}
	if err := legacyscheme.Scheme.Convert(internal, kept, nil); err != nil {
		return nil, err
	}
	sent, err := json.Marshal(kept.Spec.Template)
	if err != nil {
		return nil, err
	}
	read := &corev1.PodTemplateSpec{}
	return read, decode(sent, read)
}
