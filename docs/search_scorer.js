// Weights of the search: Sphinx's own, but pages of the guide come before the reference, and pages
// whose title begins with the words searched come first.
var Scorer = {
  score: ([page, title, anchor, description, score]) => {
    const words = (new URLSearchParams(window.location.search).get("q") || "").trim().toLowerCase();
    const first = words && title.toLowerCase().startsWith(words);
    return score + (page.includes("/") ? 0 : 5) + (first ? 20 : 0);
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
