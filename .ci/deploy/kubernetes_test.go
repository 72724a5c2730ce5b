package deploychecks

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// kinds makes an empty object for each kind that the manifests may have.
var kinds = map[string]func() metav1.Object{
	"v1/Namespace":                       func() metav1.Object { return new(corev1.Namespace) },
	"v1/ConfigMap":                       func() metav1.Object { return new(corev1.ConfigMap) },
	"v1/ServiceAccount":                  func() metav1.Object { return new(corev1.ServiceAccount) },
	"v1/Service":                         func() metav1.Object { return new(corev1.Service) },
	"apps/v1/StatefulSet":                func() metav1.Object { return new(appsv1.StatefulSet) },
	"policy/v1/PodDisruptionBudget":      func() metav1.Object { return new(policyv1.PodDisruptionBudget) },
	"networking.k8s.io/v1/NetworkPolicy": func() metav1.Object { return new(networkingv1.NetworkPolicy) },
	"networking.k8s.io/v1/Ingress":       func() metav1.Object { return new(networkingv1.Ingress) },
}

// manifests decodes strictly: a key that Kubernetes does not have is a fault.
func manifests(t *testing.T) map[string]metav1.Object {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(top, "deploy/kubernetes/*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifest: %v", err)
	}
	found := map[string]metav1.Object{}
	for _, file := range files {
		content := read(t, "deploy/kubernetes/"+filepath.Base(file))
		for i, document := range bytes.Split(content, []byte("\n---\n")) {
			var meta metav1.TypeMeta
			if err := yaml.Unmarshal(document, &meta); err != nil {
				t.Fatalf("%s, document %d: %v", file, i, err)
			}
			make, known := kinds[meta.APIVersion+"/"+meta.Kind]
			if !known {
				t.Fatalf("%s, document %d is a %s/%s, which is not checked here", file, i, meta.APIVersion, meta.Kind)
			}
			object := make()
			if err := yaml.UnmarshalStrict(document, object); err != nil {
				t.Errorf("%s, document %d: %v", file, i, err)
			}
			if object.GetName() != "callboard" || meta.Kind != "Namespace" && object.GetNamespace() != "callboard" {
				t.Errorf("%s, document %d is %s in %s", file, i, object.GetName(), object.GetNamespace())
			}
			if found[meta.Kind] != nil {
				t.Errorf("there are two of %s", meta.Kind)
			}
			found[meta.Kind] = object
		}
	}
	return found
}

func TestManifestsFitTogether(t *testing.T) {
	found := manifests(t)
	set := found["StatefulSet"].(*appsv1.StatefulSet).Spec
	labels := set.Template.Labels
	selectors := map[string]map[string]string{
		"StatefulSet": set.Selector.MatchLabels, "Service": found["Service"].(*corev1.Service).Spec.Selector,
		"PodDisruptionBudget": found["PodDisruptionBudget"].(*policyv1.PodDisruptionBudget).Spec.Selector.MatchLabels,
		"NetworkPolicy":       found["NetworkPolicy"].(*networkingv1.NetworkPolicy).Spec.PodSelector.MatchLabels,
	}
	for kind, selector := range selectors {
		if len(selector) == 0 || fmt.Sprint(selector) != fmt.Sprint(labels) {
			t.Errorf("%s selects %v, and the pod is %v", kind, selector, labels)
		}
	}
	if *set.Replicas != 1 || set.ServiceName != "callboard" {
		t.Errorf("%d replicas of %s: the store is of one node", *set.Replicas, set.ServiceName)
	}
	pod, one := set.Template.Spec, set.Template.Spec.Containers[0]
	config := found["ConfigMap"].(*corev1.ConfigMap).Data
	args := slices.Clone(one.Args)
	for i := range args {
		for key, value := range config {
			args[i] = strings.ReplaceAll(args[i], "$("+key+")", value)
		}
		if strings.Contains(args[i], "$(") {
			t.Errorf("%s is not in the ConfigMap", args[i])
		}
	}
	checkServe(t, "deploy/kubernetes", args)
	// Everybody comes through the ingress: unless its network is named, they are one address with one rate.
	if !slices.ContainsFunc(args, func(arg string) bool {
		network, named := strings.CutPrefix(arg, "--limits-attempts-proxy=")
		_, err := netip.ParsePrefix(network)
		return named && err == nil
	}) {
		t.Errorf("no network of the ingress is named: %q", args)
	}
	drain, err := time.ParseDuration(config["DRAIN"])
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; err != nil || grace < drain+10*time.Second {
		t.Errorf("the grace period is %s and the drain %s: %v", grace, drain, err)
	}
	if one.VolumeMounts[0].Name != set.VolumeClaimTemplates[0].Name {
		t.Errorf("the container mounts %s", one.VolumeMounts[0].Name)
	}
	for name, probe := range map[string]*corev1.Probe{"/healthz": one.LivenessProbe, "/readyz": one.ReadinessProbe, " /healthz": one.StartupProbe} {
		if probe == nil || probe.HTTPGet.Path != strings.TrimSpace(name) || probe.HTTPGet.Port.String() != one.Ports[0].Name {
			t.Errorf("a probe is %+v", probe)
		}
	}
	for _, path := range found["Ingress"].(*networkingv1.Ingress).Spec.Rules[0].HTTP.Paths {
		if service := path.Backend.Service; service.Name != "callboard" || service.Port.Name != found["Service"].(*corev1.Service).Spec.Ports[0].Name {
			t.Errorf("the Ingress leads to %+v", service)
		}
	}
}

// What Kubernetes's standard "restricted" asks, which the namespace enforces.
func TestPodIsRestricted(t *testing.T) {
	pod := manifests(t)["StatefulSet"].(*appsv1.StatefulSet).Spec.Template.Spec
	c := pod.Containers[0].SecurityContext
	if !*pod.SecurityContext.RunAsNonRoot || *pod.SecurityContext.RunAsUser == 0 || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%+v", pod.SecurityContext)
	}
	if *c.AllowPrivilegeEscalation || !*c.ReadOnlyRootFilesystem || len(c.Capabilities.Drop) != 1 || c.Capabilities.Drop[0] != "ALL" || len(c.Capabilities.Add) != 0 {
		t.Errorf("%+v", c)
	}
	if *pod.AutomountServiceAccountToken || pod.HostNetwork || pod.HostPID || pod.HostIPC || len(pod.Volumes) != 0 {
		t.Errorf("%+v", pod)
	}
}
