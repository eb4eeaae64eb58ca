"use strict";
// Tables that scroll inside themselves can be reached by the keyboard.
(function () {
  const boxes = [...document.querySelectorAll(".scroll, .pp-scroll, pre")];
  function look() {
    for (const box of boxes) {
      if (box.scrollWidth > box.clientWidth + 1) {
        const caption = box.querySelector("caption");
        box.tabIndex = 0;
        box.setAttribute("role", "region");
        box.setAttribute("aria-label", caption ? caption.textContent : "Code");
      } else {
        for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
      }
    }
  }
  look();
  window.addEventListener("resize", look);
})();
