// What hands do, for tests of the page: real events on the real document.
(() => {
  const told = {};
  const say = (name, value) => { told[name] = String(value); };
  const pointer = (kind, px, py) => {
    const frame = canvas.getBoundingClientRect();
    const where = { clientX: frame.left + px, clientY: frame.top + py };
    canvas.dispatchEvent(new PointerEvent(kind, { ...where, pointerId: 1, isPrimary: true, bubbles: true, cancelable: true }));
  };
  const hover = (px, py) => pointer('pointermove', px, py);
  const click = (px, py) => { pointer('pointerdown', px, py); pointer('pointerup', px, py); };
  const drag = (ax, ay, bx, by) => {
    pointer('pointerdown', ax, ay);
    for (let part = 1; part <= 10; part++) pointer('pointermove', ax + (bx - ax) * part / 10, ay + (by - ay) * part / 10);
    draw();
    pointer('pointerup', bx, by);
  };
  const wheel = (px, py, by) => {
    const frame = canvas.getBoundingClientRect();
    const where = { clientX: frame.left + px, clientY: frame.top + py };
    canvas.dispatchEvent(new WheelEvent('wheel', { ...where, deltaY: by, ctrlKey: true, bubbles: true, cancelable: true }));
  };
  const key = (name, target = document.body) => {
    target.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true, cancelable: true }));
  };
  draw();   // without a window there are no frames
  {script}
  document.body.dataset.said = JSON.stringify(told);
})();
