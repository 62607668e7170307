"""Questions to the corpus in rag/corpus, the documents that answer each, and rephrasings as an LLM gives."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    query: str
    expected: tuple[str, ...]
    """Any of these paths will do."""
    rephrasings: tuple[str, str]


CASES = [
    Case(
        "Why does it take so long until a new model server can answer?",
        ("posts/ada-cold-starts.md",),
        ("What makes the start-up of an LLM replica slow?", "Which phases does a cold start of an inference pod have?"),
    ),
    Case(
        "How many requests per replica should I aim for?",
        ("posts/ada-target-tracking.md",),
        ("What is a good request rate target for one model replica?", "Choosing the scaling target by a load test"),
    ),
    Case(
        "How long should the autoscaler wait after adding or removing a replica?",
        ("posts/ada-cooldowns.md",),
        ("Choosing scale-out and scale-in cooldowns", "How do I set cooldown periods of an autoscaler?"),
    ),
    Case(
        "Is GPU usage a good signal to scale on?",
        ("posts/ada-queue-length.md",),
        ("Should autoscaling follow GPU utilisation?", "Which metric shows that an LLM server is loaded?"),
    ),
    Case(
        "Can I run inference on machines that the cloud may take back at any moment?",
        ("posts/ada-spot.md",),
        ("Experience with spot instances for model serving", "Preemptible nodes for LLM inference"),
    ),
    Case(
        "Does shrinking the weights hurt the answers?",
        ("posts/ada-quantisation.md",),
        ("Quality of a model quantised to 4 bits", "Is an AWQ model worse than the 16-bit one?"),
    ),
    Case(
        "How do I get my dough to rise when it is chilly?",
        ("posts/ada-sourdough.md",),
        ("Baking sourdough bread in winter", "Fermenting dough in a cold room"),
    ),
    Case(
        "How large should the pieces be into which I cut a text for search?",
        ("posts/bruno-chunk-size.md",),
        ("Best chunk size for embeddings", "How to split documents before embedding them"),
    ),
    Case(
        "Semantic search misses exact product codes. What can I do?",
        ("posts/bruno-hybrid.md",),
        ("Combining BM25 with dense vectors", "Hybrid search for identifiers and part numbers"),
    ),
    Case(
        "Does rewriting the question help retrieval?",
        ("posts/bruno-rephrasing.md",),
        ("Query expansion with an LLM", "Searching with several versions of a question"),
    ),
    Case(
        "How do I restrict vector search to documents of one writer?",
        ("posts/bruno-filters.md",),
        ("Payload filters in a vector database", "Filtering nearest neighbours by author"),
    ),
    Case(
        "My bike's wheel wobbles",
        ("posts/bruno-bicycle.md",),
        ("How to straighten a bicycle rim", "Adjusting spokes at home"),
    ),
    Case(
        "Answers are cut off whenever we deploy a new version",
        ("posts/chiara-grace-period.md", "repositories/drainbell/README.md", "repositories/drainbell/drain.py"),
        ("Streams are interrupted when a pod is terminated", "How long should a pod be given to shut down?"),
    ),
    Case(
        "Kubernetes keeps restarting our engine when it is busy",
        ("posts/chiara-probes.md",),
        ("Liveness probe fails under load", "Health checks for model servers"),
    ),
    Case(
        "How can a chat profit from what the engine has computed for its earlier turns?",
        ("posts/chiara-affinity.md",),
        ("Routing by prompt prefix", "Reusing the key-value cache for a conversation"),
    ),
    Case(
        "Which vegetables grow without much sun?",
        ("posts/chiara-tomatoes.md",),
        ("Growing tomatoes in the shade", "Plants for a balcony that faces north"),
    ),
    Case(
        "How does a server handle many prompts of different length at the same time?",
        ("articles/ada-continuous-batching.md",),
        ("What is continuous batching?", "Static and continuous batches of requests"),
    ),
    Case(
        "Is it cheaper to host a model on our own than to pay for an API?",
        ("articles/ada-cost.md",),
        ("Cost per million tokens of a self-hosted LLM", "Comparing own GPUs with hosted services"),
    ),
    Case(
        "What happens to a request when no pod is running?",
        ("articles/ada-zero.md",),
        ("Scale to zero for LLM services", "Holding requests while the first replica starts"),
    ),
    Case(
        "How do graph indexes find near vectors quickly?",
        ("articles/bruno-hnsw.md",),
        ("How does HNSW work?", "Approximate nearest neighbour search by a small world graph"),
    ),
    Case(
        "Why rank results again after a vector search?",
        ("articles/bruno-cross-encoders.md",),
        ("Cross-encoder compared to bi-encoder", "Reranking candidates of a dense retriever"),
    ),
    Case(
        "How do I know whether my search got better?",
        ("articles/bruno-evaluation.md",),
        ("Evaluating retrieval with recall and MRR", "Measuring the quality of a search engine"),
    ),
    Case(
        "Serve a fine-tuned variant for each customer without buying more cards",
        ("articles/bruno-lora.md",),
        ("Many LoRA adapters on one GPU", "Multi-tenant serving of fine-tuned models"),
    ),
    Case(
        "Our documents are in German, Italian and French",
        ("articles/bruno-multilingual.html",),
        ("Multilingual embeddings", "Searching a collection in several languages"),
    ),
    Case(
        "What should a Kubernetes controller do in its reconcile loop?",
        ("articles/chiara-operators.md",),
        ("How does an operator work?", "Good behaviour of a control loop"),
    ),
    Case(
        "Expose several models under one domain",
        ("articles/chiara-gateway.md",),
        ("Routing to many LLMs with the Gateway API", "HTTPRoute for inference services"),
    ),
    Case(
        "Where do I keep the credentials for downloading gated weights?",
        ("articles/chiara-secrets.html",),
        ("Storing a Hugging Face token in Kubernetes", "Secrets for model downloads"),
    ),
    Case(
        "The model does not fit into the memory of a single server",
        ("articles/chiara-multinode.md",),
        ("Tensor and pipeline parallelism over several nodes", "Serving very large models on many machines"),
    ),
    Case(
        "Tool to measure time to first token",
        ("repositories/tokenmeter/README.md",),
        ("Load generator for chat APIs", "Benchmarking streaming latency of an LLM server"),
    ),
    Case(
        "Code that computes the 95th percentile of latencies",
        ("repositories/tokenmeter/percentiles.py",),
        ("A latency histogram class in Python", "Function for percentiles from buckets"),
    ),
    Case(
        "Python function for brute-force nearest neighbours",
        ("repositories/vecdb-lite/scan.py",),
        ("Exact vector search by dot products in numpy", "Find the rows with the highest cosine"),
    ),
    Case(
        "Go implementation of reciprocal rank fusion",
        ("repositories/fusebox/fusion.go",),
        ("Merge ranked lists in Go", "RRF source code"),
    ),
    Case(
        "Keep weights close to the GPU so that replicas start quickly",
        (
            "repositories/warmshelf/README.md",
            "repositories/warmshelf/daemonset.yaml",
            "posts/ada-cold-starts.md",
        ),
        ("Local disk cache of model files on nodes", "DaemonSet that prefetches models"),
    ),
    Case(
        "Shell script that deletes models nobody uses",
        ("repositories/warmshelf/evict.sh",),
        ("Evict old model folders from a disk", "Free space in a model cache"),
    ),
]
