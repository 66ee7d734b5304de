create index concurrently embeddings_model_{{model}} on public.embeddings
using hnsw ((embedding::halfvec({{dimensions}})) halfvec_cosine_ops)
where model_id = {{model}};
