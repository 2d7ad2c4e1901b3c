import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { Problem, takeKey } from "./api/ask";
import { App } from "./app";
import { applyTheme } from "./ui/theme";
import "./styles.css";

takeKey();
applyTheme();

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What may pass is asked again by the next look; once more at once is for a single lost answer.
      retry: (failed, error) => failed < 1 && error instanceof Problem && error.passes,
      staleTime: 1_000,
    },
  },
});

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <App />
    </QueryClientProvider>
  </StrictMode>,
);
