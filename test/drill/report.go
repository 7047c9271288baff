package main

import "fmt"

// report collects verdicts. A verdict is one claim that the drill proves or
// refutes.
type report struct {
	drill          string
	passed, failed int
}

// check says whether a claim held; why is printed when it did not.
func (r *report) check(claim string, holds bool, why string, args ...any) {
	if holds {
		r.passed++
		fmt.Printf("ok    %s: %s\n", r.drill, claim)
		return
	}
	r.fail(claim, fmt.Sprintf(why, args...))
}

func (r *report) fail(claim, why string) {
	r.failed++
	fmt.Printf("FAIL  %s: %s\n      %s\n", r.drill, claim, why)
}

// none is a check that a list of counterexamples is empty.
func (r *report) none(claim string, found []string) {
	r.check(claim, len(found) == 0, "%s", some(found))
}

// some shows a few of many.
func some(found []string) string {
	return fmt.Sprintf("%d, such as %q", len(found), found[:min(len(found), 5)])
}

// note is for the reader.
func (r *report) note(format string, args ...any) {
	fmt.Printf("      "+format+"\n", args...)
}
