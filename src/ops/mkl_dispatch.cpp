// MKL asks this function whether the processor is Intel's before it looks at the instruction sets,
// and falls back to AVX2 on others. Answering yes lets it choose by instruction set alone: 110 ->
// 250 GFLOP/s per core on AVX-512 hardware of another maker. MKL still checks each instruction set
// itself.
extern "C" __attribute__((visibility("default"), used)) int mkl_serv_intel_cpu_true() {
  return 1;
}
