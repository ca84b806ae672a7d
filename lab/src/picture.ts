/** The picture in a report: the flame graph alone. */

/** The first picture as SVG, without anything that could run; nothing where there is none. */
export function pictureOf(html: string): string | null {
  const picture = new DOMParser().parseFromString(html, 'text/html').querySelector('svg');
  if (!picture) {
    return null;
  }
  picture.querySelectorAll('script, foreignObject, a, image, use').forEach(element => element.remove());
  for (const element of [picture, ...Array.from(picture.querySelectorAll('*'))]) {
    for (const { name } of Array.from(element.attributes)) {
      if (name.startsWith('on')) {
        element.removeAttribute(name);
      }
    }
  }
  return picture.outerHTML;
}
