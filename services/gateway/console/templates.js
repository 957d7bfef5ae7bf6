// Pages' outlines stand in index.html as templates; a page works on a copy of its own.

export function template(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}
