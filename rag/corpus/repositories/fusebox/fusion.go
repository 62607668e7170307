// Package fusion merges ranked lists.
package fusion

import "sort"

// ReciprocalRank gives each document the sum of 1/(k+rank) over the lists that it stands in. 60 is the usual k.
func ReciprocalRank(lists [][]string, k float64) []string {
	scores := map[string]float64{}
	for _, list := range lists {
		for rank, document := range list {
			scores[document] += 1 / (k + float64(rank+1))
		}
	}

	merged := make([]string, 0, len(scores))
	for document := range scores {
		merged = append(merged, document)
	}
	sort.Slice(merged, func(i, j int) bool { return scores[merged[i]] > scores[merged[j]] })
	return merged
}
