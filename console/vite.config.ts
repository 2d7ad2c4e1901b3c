import { defineConfig } from "vite";

const console_ = process.env.CONSOLE_URL;

export default defineConfig({
  build: {
    outDir: process.env.CONSOLE_OUT ?? "../backend/cascade_flow/console/built",
    emptyOutDir: true,
    modulePreload: false,
    // Names without a hash: the built page is committed, and the server tells the browser by a tag whether it has changed.
    rollupOptions: {
      output: {
        entryFileNames: "assets/console.js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/console[extname]",
      },
    },
  },
  server: console_ ? { proxy: { "/api": console_, "/whole": console_, "/about": console_ } } : {},
});
