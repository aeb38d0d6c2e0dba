package report

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/url"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest/internal/battery"
)

// The parts of SARIF 2.1.0 that are used:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string         `json:"id"`
		ShortDescription     sarifText      `json:"shortDescription"`
		FullDescription      sarifText      `json:"fullDescription"`
		Help                 sarifText      `json:"help"`
		DefaultConfiguration sarifConfig    `json:"defaultConfiguration"`
		Properties           sarifRuleProps `json:"properties"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifRuleProps struct {
		Tags             []string `json:"tags"`
		SecuritySeverity string   `json:"security-severity"`
	}
	sarifResult struct {
		RuleID              string            `json:"ruleId"`
		RuleIndex           int               `json:"ruleIndex"`
		Level               string            `json:"level"`
		Message             sarifText         `json:"message"`
		Locations           []sarifLocation   `json:"locations"`
		PartialFingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPhysical  `json:"physicalLocation"`
		LogicalLocations []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		ArtifactLocation sarifArtifact `json:"artifactLocation"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifLogical struct {
		Name string `json:"name"`
	}
)

// SARIF writes findings as a SARIF 2.1.0 log, which code hosts show beside the code.
// Each result stands at file, a path relative to the repository: findings are of a
// running server, which has no lines.
func SARIF(w io.Writer, r *battery.Report, checks []battery.Check, file string) error {
	driver := sarifDriver{Name: "mcpsec-check", InformationURI: "https://github.com/mcpsec/mcpsec-go/blob/main/docs/check.md", Rules: []sarifRule{}}
	index := map[string]int{}
	for i, c := range checks {
		index[c.ID] = i
		driver.Rules = append(driver.Rules, sarifRule{
			ID: c.ID, ShortDescription: sarifText{c.Title}, FullDescription: sarifText{c.Proof}, Help: sarifText{c.Remedy},
			DefaultConfiguration: sarifConfig{level(c.Severity)}, Properties: sarifRuleProps{[]string{"security", "mcp"}, score(c.Severity)},
		})
	}
	results := []sarifResult{}
	for _, f := range r.Findings {
		location := sarifLocation{PhysicalLocation: sarifPhysical{sarifArtifact{uri(file)}}}
		if f.Subject != "" {
			location.LogicalLocations = []sarifLogical{{f.Subject}}
		}
		sum := sha256.Sum256([]byte(f.Check + "\x00" + f.Subject + "\x00" + f.Title))
		results = append(results, sarifResult{
			RuleID: f.Check, RuleIndex: index[f.Check], Level: level(f.Severity), Message: sarifText{message(f)},
			Locations: []sarifLocation{location}, PartialFingerprints: map[string]string{"mcpsecFinding/v1": hex.EncodeToString(sum[:])},
		})
	}
	return indented(w, sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0",
		Runs: []sarifRun{{Tool: sarifTool{driver}, Results: results}},
	})
}

func message(f battery.Finding) string {
	text := f.Title
	if f.Subject != "" {
		text = f.Subject + ": " + text
	}
	return text + "\nSeen: " + f.Evidence + "\nRemedy: " + f.Remedy
}

func level(s battery.Severity) string {
	switch s {
	case battery.Critical, battery.High:
		return "error"
	case battery.Medium:
		return "warning"
	}
	return "note"
}

// score is in the middle of the severity's range of CVSS.
func score(s battery.Severity) string {
	return map[battery.Severity]string{battery.Critical: "9.5", battery.High: "8.0", battery.Medium: "5.5", battery.Low: "2.0", battery.Info: "0.0"}[s]
}

// uri is a path, also one of Windows, as a relative reference.
func uri(file string) string {
	file = strings.TrimPrefix(strings.ReplaceAll(file, `\`, "/"), "./")
	return (&url.URL{Path: file}).EscapedPath()
}
