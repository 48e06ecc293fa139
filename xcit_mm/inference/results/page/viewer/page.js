'use strict';
// Shows the result that result.js describes. Everything is loaded by <img> and <script>, which a page from disk allows.

const byId = (id) => document.getElementById(id);
const shown = new Set(RESULT.classes.filter((each) => each.shown).map((each) => each.index));
let version = 0;  // increases whenever other classes are shown

// Colours of the labels, as RGBA in the byte order of this machine; 0 is transparent.
function paletteOf() {
  const bytes = new Uint8ClampedArray(4 * 256 ** RESULT.bytes);
  for (const {index, color} of RESULT.classes) {
    if (shown.has(index)) bytes.set([...color, 255], 4 * index);
  }
  return new Uint32Array(bytes.buffer);
}
let palette = paletteOf();

// Label tiles are scripts that call addTile.
const waiting = new Map();
function addTile(name, content) {
  waiting.get(name)(content);
}

function loadScript(name) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    const finish = (call, value) => {
      waiting.delete(name);
      script.remove();
      call(value);
    };
    waiting.set(name, (content) => finish(resolve, content));
    script.onerror = () => finish(reject, new Error(`cannot load labels/${name}.js`));
    script.src = `labels/${name}.js`;
    document.head.append(script);
  });
}

async function decode(content) {
  const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  const buffer = await new Response(stream).arrayBuffer();
  return RESULT.bytes === 1 ? new Uint8Array(buffer) : new Uint16Array(buffer);
}

// A canvas is only written, never read: some browsers add noise to what scripts read.
function paint(context) {
  const {width, height} = context.canvas;
  const pixels = new ImageData(width, height);
  const colors = new Uint32Array(pixels.data.buffer);
  const {labels} = context;
  for (let position = 0; position < labels.length; position++) colors[position] = palette[labels[position]];
  context.putImageData(pixels, 0, 0);
  context.painted = version;
}

async function labelTile(name) {
  const [level, column, row] = name.split(/[/_]/).map(Number);
  const scale = 2 ** (RESULT.finest - level);
  const side = (size, index) => Math.min(RESULT.tile, Math.ceil(size / scale) - index * RESULT.tile);
  const labels = await decode(await loadScript(name));
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [side(RESULT.width, column), side(RESULT.height, row)];
  const context = canvas.getContext('2d');
  context.labels = labels;
  paint(context);
  return context;
}

const tiles = (more) => ({
  width: RESULT.width, height: RESULT.height, tileSize: RESULT.tile, minLevel: 0, maxLevel: RESULT.finest, ...more});

const viewer = OpenSeadragon({
  id: 'viewer',
  drawer: 'canvas',  // WebGL may not use images from disk
  showNavigationControl: false,
  animationTime: 0.6,
  maxZoomPixelRatio: 16,
  visibilityRatio: 0.3,
  gestureSettingsMouse: {clickToZoom: false, dblClickToZoom: true},
  subPixelRoundingForTransparency: OpenSeadragon.SUBPIXEL_ROUNDING_OCCURRENCES.ALWAYS,
  tileSources: [
    tiles({getTileUrl: (level, column, row) => `image/${level}/${column}_${row}.jfif`}),
    {tileSource: tiles({
      getTileUrl: (level, column, row) => `${level}/${column}_${row}`,
      hasTransparency: () => true,
      downloadTileStart: (job) => {
        labelTile(job.src).then((context) => job.finish(context, null, 'context2d'),
                                (error) => job.fail(error.message));
      },
      downloadTileAbort: () => {},
    }), opacity: 0.5},
  ],
});

viewer.addHandler('tile-drawing', ({rendered}) => {
  if (rendered.labels && rendered.painted !== version) paint(rendered);
});

// Where a pixel of the image fills at least one of the screen, it is shown as a square.
function smooth() {
  const item = viewer.world.getItemAt(0);
  if (item) viewer.drawer.setImageSmoothingEnabled(item.viewportToImageZoom(viewer.viewport.getZoom()) < 1);
}
for (const event of ['open', 'zoom', 'resize']) viewer.addHandler(event, smooth);

// Returns a size in the largest of the given units in which it is at least 1.
function inUnits(value, units) {
  const [size, unit] = units.find(([each]) => value >= each * (1 - 1e-9)) ?? units.at(-1);
  return `${(value / size).toLocaleString('en', {maximumSignificantDigits: 3})} ${unit}`;
}

function areaOf(pixels) {
  if (!RESULT.pixel) return `${pixels.toLocaleString('en')} px`;
  return inUnits(pixels * RESULT.pixel.area,
                 [[1e6, 'km²'], [1e4, 'ha'], [1, 'm²'], [1e-4, 'cm²'], [1e-6, 'mm²'], [1e-12, 'µm²']]);
}

function drawScale() {
  const item = viewer.world.getItemAt(0);
  if (!RESULT.pixel || !item) return;
  const perPixel = RESULT.pixel.width / item.viewportToImageZoom(viewer.viewport.getZoom(true));  // m per CSS pixel
  const longest = 150 * perPixel;
  const power = 10 ** Math.floor(Math.log10(longest));
  const length = [5, 2, 1].map((factor) => factor * power).find((each) => each <= longest);
  byId('scale-text').textContent = inUnits(length, [[1e3, 'km'], [1, 'm'], [1e-2, 'cm'], [1e-3, 'mm'], [1e-6, 'µm']]);
  byId('scale-bar').style.width = `${length / perPixel}px`;
  byId('scale').hidden = false;
}
for (const event of ['open', 'animation', 'resize']) viewer.addHandler(event, drawScale);

function redraw() {
  [palette, version] = [paletteOf(), version + 1];
  viewer.forceRedraw();
}

function addClass({index, name, color, pixels}) {
  const item = document.createElement('li');
  item.innerHTML = '<label><input type="checkbox"><span class="color"></span><span class="name"></span>'
    + '<span class="area"></span></label>';
  const [box, swatch, text, area] = item.firstChild.children;
  box.checked = shown.has(index);
  box.value = index;
  swatch.style.background = `rgb(${color})`;
  text.textContent = text.title = name;
  area.textContent = areaOf(pixels);
  box.addEventListener('change', () => {
    shown[box.checked ? 'add' : 'delete'](index);
    redraw();
  });
  byId('classes').append(item);
}

function showAll(all) {
  for (const box of byId('classes').querySelectorAll('input')) {
    box.checked = all;
    shown[all ? 'add' : 'delete'](Number(box.value));
  }
  redraw();
}

document.title = byId('name').textContent = RESULT.name;
byId('size').textContent = `${RESULT.width.toLocaleString('en')} × ${RESULT.height.toLocaleString('en')} pixels`;
[...RESULT.classes].sort((one, other) => other.pixels - one.pixels).forEach(addClass);
if (RESULT.without_data) {
  byId('without-data').textContent = `Without data: ${areaOf(RESULT.without_data)}`;
  byId('without-data').hidden = false;
}
byId('all').onclick = () => showAll(true);
byId('none').onclick = () => showAll(false);
byId('opacity').oninput = ({target}) => {
  viewer.world.getItemAt(1)?.setOpacity(target.value / 100);
  byId('opacity-text').textContent = `${target.value} %`;
};
byId('zoom-in').onclick = () => viewer.viewport.zoomBy(2).applyConstraints();
byId('zoom-out').onclick = () => viewer.viewport.zoomBy(0.5).applyConstraints();
byId('home').onclick = () => viewer.viewport.goHome();
