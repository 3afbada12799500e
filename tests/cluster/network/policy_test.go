package network

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

func testCluster(t *testing.T, specs ...string) Cluster {
	t.Helper()
	c := Cluster{
		Namespaces: map[string]map[string]string{"mail": {"team": "a"}, "other": {"team": "b"}},
		Pods: []Pod{
			{"mail", map[string]string{"app": "mta"}, "10.0.0.1", []corev1.ContainerPort{{Name: "smtp", ContainerPort: 2525}}},
			{"mail", map[string]string{"app": "operator"}, "10.0.0.2", nil},
			{"other", map[string]string{"app": "mta"}, "10.0.0.3", []corev1.ContainerPort{{Name: "smtp", ContainerPort: 25}}},
		},
	}
	for _, spec := range specs {
		policy := &networkingv1.NetworkPolicy{}
		policy.Namespace = "mail"
		if err := json.Unmarshal([]byte(spec), &policy.Spec); err != nil {
			t.Fatal(err)
		}
		c.Policies = append(c.Policies, policy)
	}
	return c
}

const mta = `"podSelector":{"matchLabels":{"app":"mta"}}`

func TestRules(t *testing.T) {
	for name, test := range map[string]struct {
		spec string
		want string // of pod 10.0.0.1: its rules, "" where it is not isolated
	}{
		"another pod": {`{"podSelector":{"matchLabels":{"app":"x"}},"policyTypes":["Ingress"]}`, ""},
		"deny all":    {`{` + mta + `,"policyTypes":["Ingress"]}`, "ingress:"},
		"allow all":   {`{"podSelector":{},"policyTypes":["Ingress"],"ingress":[{}]}`, "ingress: any"},
		"a port": {`{` + mta + `,"policyTypes":["Ingress"],"ingress":[{"ports":[{"port":25},{"port":53,"protocol":"UDP"}]}]}`,
			"ingress: tcp dport 25, udp dport 53"},
		"a range": {`{` + mta + `,"policyTypes":["Ingress"],"ingress":[{"ports":[{"port":25,"endPort":30}]}]}`,
			"ingress: tcp dport 25-30"},
		"all of a protocol": {`{` + mta + `,"policyTypes":["Ingress"],"ingress":[{"ports":[{"protocol":"UDP"}]}]}`,
			"ingress: meta l4proto udp"},
		"own named port": {`{` + mta + `,"policyTypes":["Ingress"],"ingress":[{"ports":[{"port":"smtp"},{"port":"none"}]}]}`,
			"ingress: tcp dport 2525"},
		"pods of the namespace": {`{` + mta + `,"policyTypes":["Ingress"],"ingress":[{"from":[{"podSelector":{}}]}]}`,
			"ingress: ip saddr 10.0.0.1, ip saddr 10.0.0.2"},
		"a namespace": {`{` + mta + `,"policyTypes":["Ingress"],"ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"team":"b"}}}]}]}`,
			"ingress: ip saddr 10.0.0.3"},
		"both selectors must match": {`{` + mta + `,"policyTypes":["Ingress"],"ingress":[{"from":[{"namespaceSelector":{},"podSelector":{"matchLabels":{"app":"operator"}}}]}]}`,
			"ingress: ip saddr 10.0.0.2"},
		"a selector that matches none": {`{` + mta + `,"policyTypes":["Ingress"],"ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"x"}}}]}]}`,
			"ingress:"},
		"a block": {`{` + mta + `,"policyTypes":["Ingress"],"ingress":[{"from":[{"ipBlock":{"cidr":"0.0.0.0/0","except":["10.0.0.0/8"]}}],"ports":[{"port":25}]}]}`,
			"ingress: ip saddr 0.0.0.0/0 ip saddr != { 10.0.0.0/8 } tcp dport 25"},
		"egress to the peers' named port": {`{` + mta + `,"policyTypes":["Egress"],"egress":[{"to":[{"namespaceSelector":{}}],"ports":[{"port":"smtp"}]}]}`,
			"egress: ip daddr 10.0.0.1 tcp dport 2525, ip daddr 10.0.0.3 tcp dport 25"},
		"egress to anybody's named port": {`{` + mta + `,"policyTypes":["Egress"],"egress":[{"ports":[{"port":"smtp"},{"port":53}]}]}`,
			"egress: ip daddr 10.0.0.1 tcp dport 2525, ip daddr 10.0.0.3 tcp dport 25, tcp dport 53"},
		"both ways": {`{` + mta + `,"policyTypes":["Ingress","Egress"],"egress":[{"to":[{"ipBlock":{"cidr":"192.0.2.0/24"}}]}]}`,
			"ingress: egress: ip daddr 192.0.2.0/24"},
	} {
		c := testCluster(t, test.spec)
		var got []string
		for _, d := range []direction{{networkingv1.PolicyTypeIngress, "ip saddr", nil}, {networkingv1.PolicyTypeEgress, "ip daddr", nil}} {
			rules, isolated, err := c.rules(c.Pods[0], d)
			if err != nil {
				t.Fatal(err)
			}
			if isolated {
				text := strings.Join(rules, ", ")
				if len(rules) == 1 && rules[0] == "" {
					text = "any"
				}
				got = append(got, strings.TrimSpace(strings.ToLower(string(d.kind))+": "+text))
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, not %q", name, strings.Join(got, " "), test.want)
		}
	}
}

func TestPoliciesAddUp(t *testing.T) {
	c := testCluster(t, `{`+mta+`,"policyTypes":["Ingress"]}`,
		`{`+mta+`,"policyTypes":["Ingress"],"ingress":[{"ports":[{"port":25}]}]}`)
	rules, isolated, err := c.rules(c.Pods[0], direction{networkingv1.PolicyTypeIngress, "ip saddr", nil})
	if err != nil || !isolated || len(rules) != 1 || rules[0] != "tcp dport 25" {
		t.Errorf("%v %v %v", rules, isolated, err)
	}
	if _, isolated, _ := c.rules(c.Pods[2], direction{networkingv1.PolicyTypeIngress, "ip saddr", nil}); isolated {
		t.Error("a policy selects a pod of another namespace")
	}
}

// The kernel's own parser takes it.
func TestRulesetIsOne(t *testing.T) {
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	for _, c := range []Cluster{testCluster(t), testCluster(t,
		`{"podSelector":{},"policyTypes":["Ingress","Egress"],"ingress":[{}],"egress":[{"to":[{"ipBlock":{"cidr":"0.0.0.0/0","except":["10.0.0.0/8","192.0.2.0/24"]}}],"ports":[{"port":25},{"port":53,"protocol":"UDP"},{"protocol":"SCTP"}]}]}`)} {
		text, err := c.Ruleset()
		if err != nil {
			t.Fatal(err)
		}
		nft := exec.Command("unshare", "--net", "nft", "--check", "--file", "-")
		nft.Stdin = strings.NewReader(text)
		if out, err := nft.CombinedOutput(); err != nil {
			t.Errorf("%v: %s\n%s", err, out, text)
		}
	}
}
