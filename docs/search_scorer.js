// Sphinx finds the pages that hold all words of a query, except "how", "my" and the like; this orders
// them. A page is about the words of its title, then about those of its headings. Rare words count more,
// and a short title is more about its words than a long one.
var Scorer = {
  score: ([page, title]) => {
    const index = Search._index, stemmer = new Stemmer();
    const stems = (text) =>
      splitQuery(text.toLowerCase())
        .filter((word) => !stopwords.has(word))
        .map((word) => stemmer.stemWord(word));
    const query = stems(new URLSearchParams(window.location.search).get("q") || "");
    const pages = (word) =>
      new Set([index.terms[word] ?? [], index.titleterms[word] ?? []].flat()).size || 1;
    const rarity = (words) =>
      words.reduce((sum, word) => sum + Math.log(1 + index.docnames.length / pages(word)), 0);
    const share = (text) => {
      const words = stems(text);
      const found = query.filter((word) => words.includes(word));
      return found.length ? (rarity(found) / rarity(query)) * Math.sqrt(found.length / words.length) : 0;
    };
    const number = index.docnames.indexOf(page);
    const headings = Object.entries(index.alltitles)
      .filter(([, places]) => places.some(([where, id]) => where === number && id !== null))
      .map(([heading]) => share(heading));
    // the guide, and what `import memristive` offers, before all other names
    const kind = !page.includes("/") || /\/names\/memristive\.\w+$/.test(page) ? 1 : 0.3;
    return kind * (0.5 + 3 * share(index.titles[number]) + Math.max(0, ...headings) + share(title) / 10);
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
