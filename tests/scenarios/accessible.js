// What would keep somebody out who sees little, sees nothing or uses no mouse: a list of complaints, empty where all is well.
() => {
  const found = new Set(), seen = [...document.querySelectorAll("*")].filter(node => node.checkVisibility({ visibilityProperty: true }));
  const named = node => {
    const by = (node.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean).map(id => document.getElementById(id)?.textContent ?? "").join(" ");
    const label = [...(node.labels ?? [])].map(one => one.textContent).join(" ");
    return (node.getAttribute("aria-label") ?? "") + by + label + (node.getAttribute("alt") ?? "") + (node.matches("input, select") ? "" : node.textContent);
  };
  const what = node => `<${node.tagName.toLowerCase()}${node.id ? ` id=${node.id}` : ""}> ${node.textContent.trim().slice(0, 40)}`;
  const say = (node, words) => found.add(`${what(node)}: ${words}`);

  const ids = [...document.querySelectorAll("[id]")].map(node => node.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.add(`the id ${id} is there twice`);
  if (!document.documentElement.lang || !document.title) found.add("the page has no language or no title");
  if (document.querySelectorAll("main").length !== 1 || seen.filter(node => node.matches("h1")).length !== 1) found.add("not one main part with one heading of its own");
  let level = 0;
  for (const node of seen.filter(node => node.matches("h1, h2, h3, h4") && !node.closest("dialog"))) {
    if (+node.tagName[1] > level + 1) say(node, `follows a heading of level ${level}`);
    level = +node.tagName[1];
  }
  for (const node of seen) {
    for (const name of ["aria-labelledby", "aria-describedby"])
      for (const id of (node.getAttribute(name) ?? "").split(/\s+/).filter(Boolean)) if (!ids.includes(id)) say(node, `${name} names ${id}, which is not there`);
    if (node.matches("img") && !node.hasAttribute("alt")) say(node, "a picture without a text");
    if (node.matches("a[href], button, input, select, summary, svg[role], [role=img], [role=region], [tabindex='0']") && !node.closest("[aria-hidden=true]") && !named(node).trim()) say(node, "has no name");
    if (node.matches("svg") && !node.closest("[role=img], [aria-hidden=true]")) say(node, "a drawing that says nothing");
    if (node.matches("button, input, select, summary")) {
      const box = node.getBoundingClientRect();
      if (box.width < 24 || box.height < 24) say(node, `is ${Math.round(box.width)} by ${Math.round(box.height)} pixels, too small for a finger`);
    }
  }

  const parts = colour => colour.match(/[\d.]+/g).map(Number);
  const over = (top, under) => { const part = top[3] ?? 1; return [0, 1, 2].map(at => top[at] * part + under[at] * (1 - part)); };
  const ground = node => node ? over(parts(getComputedStyle(node).backgroundColor), ground(node.parentElement)) : [255, 255, 255];
  const light = colour => { const [r, g, b] = colour.map(value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !seen.includes(node) || node.closest("[aria-disabled=true], :disabled, .hidden")) continue;
    const look = getComputedStyle(node), under = ground(node), ink = over(parts(node.closest("svg") ? look.fill : look.color), under);
    const [dark, bright] = [light(ink), light(under)].sort((a, b) => a - b), contrast = (bright + 0.05) / (dark + 0.05);
    const size = parseFloat(look.fontSize), large = size >= 24 || (size >= 18.66 && +look.fontWeight >= 700);
    if (contrast < (large ? 3 : 4.5)) say(node, `a contrast of ${contrast.toFixed(2)}`);
  }
  return [...found];
}
