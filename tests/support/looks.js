// What a reader finds wrong with the reports of a page: text that is cut, broken or covered; with `inks` text that is
// hardly to be seen.
(inks) => {
  const LEAST_CONTRAST = 4.5;
  const found = [];
  const visible = (e) => e.checkVisibility({ visibilityProperty: true });
  const fault = (e, kind, detail) => found.push({
    report: e.closest('section').dataset.report, kind,
    text: e.textContent.trim().slice(0, 50), detail,
  });

  // Colours as [red, green, blue, opacity], whatever the style sheet calls them.
  const pixel = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
  const brush = pixel.getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const colour = (text) => {
    if (!known.has(text)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = text;
      brush.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
      known.set(text, [r, g, b, a / 255]);
    }
    return known.get(text);
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((one) => {
      const part = one / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  // The ground of an element of HTML: what its ancestors paint, from the page up.
  const ground = (e) => {
    const layers = [];
    for (let one = e; one; one = one.parentElement) layers.unshift(colour(getComputedStyle(one).backgroundColor));
    return layers.reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const inside = (point, box) => point.x >= box.left && point.x <= box.right
    && point.y >= box.top && point.y <= box.bottom;
  // The ground of words in a picture: the boxes that are painted before them at their place.
  const groundInPicture = (words) => {
    const picture = words.ownerSVGElement;
    const box = words.getBoundingClientRect();
    const middle = { x: box.left + box.width / 2, y: box.top + box.height / 2 };
    let rgb = ground(picture.parentElement);
    for (const rect of picture.querySelectorAll('rect')) {
      const before = rect.compareDocumentPosition(words) & Node.DOCUMENT_POSITION_FOLLOWING;
      if (!before || !inside(middle, rect.getBoundingClientRect())) continue;
      const style = getComputedStyle(rect);
      const fill = colour(style.fill);
      rgb = over([fill[0], fill[1], fill[2], fill[3] * parseFloat(style.fillOpacity)], rgb);
    }
    return rgb;
  };

  // Who shows all of what does not fit: a scrollbar inside of the report, or an ellipsis with the whole under the pointer.
  const scrolls = (e) => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
  const hides = (e) => ['hidden', 'clip'].includes(getComputedStyle(e).overflowX);
  const whole = (e) => e.closest('[title]') || e.querySelector('[title]');

  const own = (e) => [...e.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
  const boxes = (node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return [...range.getClientRects()].filter((box) => box.width > 0.5);
  };

  for (const report of document.querySelectorAll('section[data-report]')) {
    if (report.scrollWidth > report.clientWidth + 1) {
      fault(report, 'the report is wider than its place', `${report.scrollWidth} > ${report.clientWidth}`);
    }
    const texts = [...report.querySelectorAll('.dph *, .dph-remark')].filter((e) => own(e).length && visible(e)
      && !['STYLE', 'TITLE'].includes(e.tagName) && !e.closest('title'));
    for (const e of texts) {
      const style = getComputedStyle(e);
      const inPicture = e.ownerSVGElement;
      if (inks) {
        const ink = colour(inPicture ? style.fill : style.color);
        const below = inPicture ? groundInPicture(e) : ground(e);
        const ratio = contrast(over(ink, below), below);
        if (ratio < LEAST_CONTRAST) fault(e, 'hardly to be seen', ratio.toFixed(1));
        continue;
      }
      const place = report.getBoundingClientRect();
      if (inPicture) {
        const box = e.getBoundingClientRect();
        const picture = inPicture.getBoundingClientRect();
        if (box.right > picture.right + 1 || box.left < picture.left - 1 || box.bottom > picture.bottom + 2) {
          fault(e, 'leaves its picture', `${Math.round(box.right)} > ${Math.round(picture.right)}`);
        }
        if (box.height < 9) fault(e, 'too small to be read', `${box.height.toFixed(1)} px`);
        continue;
      }
      for (const node of own(e)) {
        const lines = boxes(node);
        // A word that stands on two lines.
        if (style.whiteSpace !== 'nowrap' && lines.length > 1) {
          for (const word of node.data.matchAll(/[\p{L}\p{N}_.%]+/gu)) {
            const range = document.createRange();
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            const tops = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
            if (tops.size > 1) fault(e, 'broken inside of a word', word[0].slice(0, 60));
          }
        }
        // Text that ends at an edge which shows neither a scrollbar nor an ellipsis.
        for (let box = e; box !== report; box = box.parentElement) {
          const clip = box.getBoundingClientRect();
          const cut = lines.some((line) => line.right > clip.right + 1.5);
          if (!cut) continue;
          if (scrolls(box)) break;
          if (hides(box)) {
            const dots = getComputedStyle(box).textOverflow === 'ellipsis' && whole(box);
            if (!dots) fault(e, 'cut', `at the edge of ${box.tagName}.${box.className}`);
            break;
          }
          if (['TD', 'TH'].includes(box.tagName)) fault(e, 'wider than its cell', '');
        }
      }
      if (e.getBoundingClientRect().left < place.left - 1) fault(e, 'begins left of the report', '');
    }

    if (inks) continue;
    // Words over words. What ends by an ellipsis has a box for that, too.
    const drawn = texts.flatMap((e) => own(e).flatMap(boxes).map((box) => ({ e, box })));
    const clipped = drawn.map(({ e, box }) => {
      let { left, right, top, bottom } = box;
      for (let one = e; one !== report; one = one.parentElement) {
        if (!one.ownerSVGElement && (hides(one) || scrolls(one))) {
          const clip = one.getBoundingClientRect();
          [left, right] = [Math.max(left, clip.left), Math.min(right, clip.right)];
          [top, bottom] = [Math.max(top, clip.top), Math.min(bottom, clip.bottom)];
        }
      }
      return { e, left, right, top, bottom };
    }).filter((one) => one.right - one.left > 1 && one.bottom > one.top).sort((one, other) => one.top - other.top);
    for (let i = 0; i < clipped.length; i++) {
      for (let j = i + 1; j < clipped.length && clipped[j].top < clipped[i].bottom - 3; j++) {
        const [one, other] = [clipped[i], clipped[j]];
        const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
        const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
        if (one.e !== other.e && across > 2 && down > 4) fault(other.e, 'overlaps', one.e.textContent.trim().slice(0, 40));
      }
    }

    // Tables whose columns cannot be reached.
    for (const table of report.querySelectorAll('table')) {
      if (!visible(table)) continue;
      const holder = table.parentElement;
      if (table.scrollWidth > holder.clientWidth + 1 && !scrolls(holder)) {
        fault(table, 'a table without a scrollbar', `${table.scrollWidth} > ${holder.clientWidth}`);
      }
    }
  }
  return found;
}
