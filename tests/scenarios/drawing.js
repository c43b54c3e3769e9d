// What is seen, as an SVG: boxes, texts and charts where they stand, with the looks that they have.
height => {
  const put = [], n = value => Math.round(value * 10) / 10;
  const safe = text => text.replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`);
  const clear = colour => /^rgba\(.*, 0\)$|^transparent$/.test(colour);
  const walk = node => {
    if (node.nodeType === Node.TEXT_NODE) return write(node);
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    const look = getComputedStyle(node), box = node.getBoundingClientRect();
    if (!node.checkVisibility() || look.display === "none" || look.clipPath !== "none" || !box.width || box.top > height || box.right < 0) return;
    if (node instanceof HTMLImageElement) return put.push(`<rect x="${n(box.x)}" y="${n(box.y)}" width="${n(box.width)}" height="${n(box.height)}" rx="6" fill="#0b5c6b"/>`);
    if (node instanceof SVGSVGElement) return chart(node, box);
    const edge = parseFloat(look.borderTopWidth) > 0 && look.borderTopStyle !== "none", side = parseFloat(look.borderLeftWidth);
    if (!clear(look.backgroundColor) || (edge && side)) {
      const round = Math.min(parseFloat(look.borderRadius) || 0, box.height / 2);
      const line = edge && side ? ` stroke="${look.borderTopColor}" stroke-width="${look.borderTopWidth}"` : "";
      const fill = clear(look.backgroundColor) ? "none" : look.backgroundColor;
      put.push(`<rect x="${n(box.x)}" y="${n(box.y)}" width="${n(box.width)}" height="${n(box.height)}" rx="${n(round)}" fill="${fill}"${line}/>`);
    }
    for (const child of node.childNodes) walk(child);
  };
  const write = node => {
    const look = getComputedStyle(node.parentElement), range = document.createRange();
    const mono = look.fontFamily.includes("mono") ? "DejaVu Sans Mono, monospace" : "DejaVu Sans, Verdana, sans-serif";
    let lines = [];
    for (let at = 0; at < node.length; at += 1) {
      range.setStart(node, at);
      range.setEnd(node, at + 1);
      const box = range.getBoundingClientRect();
      if (!box.width) continue;
      const last = lines.at(-1);
      if (last && Math.abs(last.box.y - box.y) < 2) last.text += node.data[at], last.right = box.right;
      else lines.push({ box, right: box.right, text: node.data[at] });
    }
    for (const { box, right, text } of lines)
      if (text.trim() && box.top < height) put.push(`<text xml:space="preserve" x="${n(box.x)}" y="${n(box.y + box.height * 0.79)}" textLength="${n(right - box.x)}" font-family="${mono}" lengthAdjust="spacingAndGlyphs" font-size="${look.fontSize}" font-weight="${look.fontWeight}" fill="${look.color}">${safe(text)}</text>`);
  };
  const chart = (node, box) => {
    const copy = node.cloneNode(true), from = [node, ...node.querySelectorAll("*")];
    [copy, ...copy.querySelectorAll("*")].forEach((part, at) => {
      const look = getComputedStyle(from[at]);
      for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size"]) part.setAttribute(name, look.getPropertyValue(name));
      for (const name of ["class", "role", "aria-label", "aria-hidden"]) part.removeAttribute(name);
      if (part.tagName === "text") part.setAttribute("font-family", "DejaVu Sans, Verdana, sans-serif");
    });
    copy.setAttribute("x", n(box.x));
    copy.setAttribute("y", n(box.y));
    put.push(new XMLSerializer().serializeToString(copy).replace(' xmlns="http://www.w3.org/2000/svg"', ""));
  };
  scrollTo(0, 0);
  const width = document.documentElement.clientWidth, paper = getComputedStyle(document.body).backgroundColor;
  walk(document.body);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"><rect width="100%" height="100%" fill="${paper}"/>\n${put.join("\n")}\n</svg>`;
}
