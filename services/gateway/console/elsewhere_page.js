// Where the dead letters are: on the admin port, whose address only who runs the service knows. But
// on one's own machine: there the gateway says which port it is.

import { template } from "/console/templates.js";

const LOOPBACK = /^(localhost|127\.[0-9.]+|\[::1\])$/;

export class ElsewherePage {
  root = template("elsewhere-page");

  constructor() {
    const port = document.querySelector("meta[name='admin-port']").content;
    if (!port || !LOOPBACK.test(location.hostname)) return;
    this.root.querySelector("a").href = `//${location.hostname}:${port}/console#/letters`;
    this.root.querySelector(".here").hidden = false;
    this.root.querySelector(".address").hidden = true;
  }

  draw() {}
}
