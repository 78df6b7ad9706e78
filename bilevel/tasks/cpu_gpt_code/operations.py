"""The closed list of operations that an edited script may start, each with how it is priced.

An operation that is not on it is refused: whatever nobody has priced could be computed for nothing.
Names are ATen's, without the underscore of those that work in place; `_foreach_` and `_fused_`
ones are priced as what they do to each tensor. What `cpu_gpt` prices too low for what it computes
is dearer here; nothing is cheaper.
"""

# ruff: noqa: SIM905

FREE = """
alias as_strided _conj detach diagonal empty empty_like empty_permuted empty_strided expand
lift_fresh _make_dual _neg_view new_empty new_empty_strided permute _reshape_alias select slice
split split_with_sizes squeeze t transpose unbind unfold unsqueeze view view_as_complex view_as_real
promote_types is_same_size _has_same_storage_numel
""".split()

BYTES = """
abs add addcdiv addcmul addmv addr all allclose amax amin aminmax any arange argmax argmin
as_strided_scatter avg_pool1d avg_pool2d_backward bincount binary_cross_entropy
binary_cross_entropy_backward binary_cross_entropy_with_logits bitwise_and bitwise_left_shift
bitwise_not bitwise_or bitwise_right_shift bitwise_xor block_diag bucketize cat ceil celu clamp
clamp_max clamp_min clone complex conj_physical _conj_physical constant_pad_nd copy copysign
count_nonzero diag_embed diagonal_backward diagonal_copy diagonal_scatter dist div dot elu
elu_backward embedding_dense_backward eq equal eye fill flip floor floor_divide fmax fmin fmod frac
full full_like ge glu glu_backward gt hardshrink hardshrink_backward hardsigmoid
hardsigmoid_backward hardswish hardswish_backward hardtanh hardtanh_backward heaviside huber_loss
huber_loss_backward index_copy index_fill isin isinf isnan isneginf isposinf le leaky_relu
leaky_relu_backward lerp lift_fresh_copy linalg_cross _linalg_check_errors linalg_vector_norm
linspace _local_scalar_dense log_sigmoid_backward logical_and logical_not logical_or logical_xor
logspace lt masked_fill masked_scatter masked_scatter_backward masked_select max
max_pool2d_with_indices_backward maximum mean min minimum mse_loss mse_loss_backward mul mv
nan_to_num nansum native_batch_norm native_batch_norm_backward _native_batch_norm_legit
_native_batch_norm_legit_no_training native_dropout_backward native_group_norm
native_group_norm_backward native_layer_norm native_layer_norm_backward ne neg new_full new_ones
new_zeros nextafter nll_loss_backward nll_loss_forward nonzero norm ones ones_like polar
_prelu_kernel _prelu_kernel_backward prod put reciprocal reflection_pad1d reflection_pad1d_backward
relu remainder repeat repeat_interleave replication_pad1d replication_pad1d_backward resize roll
rot90 round rsqrt rsub scalar_tensor scatter_reduce select_backward select_scatter set sgn sigmoid
sigmoid_backward sign signbit silu silu_backward slice_backward slice_scatter smooth_l1_loss
smooth_l1_loss_backward softplus_backward softshrink softshrink_backward sqrt square stack std
std_mean sub sum tanh_backward threshold threshold_backward _to_copy trace tril tril_indices triu
triu_indices trunc unfold_backward _unsafe_view unsafe_split unsafe_split_with_sizes var var_mean
vdot view_copy _weight_norm_interface _weight_norm_interface_backward where zero zeros zeros_like
sgd adam adamw adagrad _is_all_true _is_any_true _assert_async
mish_backward
""".split()

INDEXED = "embedding gather index index_select take _unsafe_index".split()  # twice what is made
INDEXED_WRITE = """
scatter scatter_add index_put index_add _index_put_impl _unsafe_index_put
""".split()

EXPONENTIAL = """
exp exp2 logsumexp _softmax _softmax_backward_data _log_softmax _log_softmax_backward_data
_safe_softmax _masked_softmax
_masked_softmax_backward softmax log_softmax
""".split()

SLOW = """
acos acosh angle asin asinh atan atan2 atanh cos cosh cummax cummin cumprod cumsum digamma erf erfc
erfinv expm1 gelu gelu_backward histc hypot kthvalue lgamma log log10 log1p log2
log_sigmoid_forward logaddexp logaddexp2 logcumsumexp logit logit_backward median mish mode
nanmedian pow powsum searchsorted sin sinc sinh softplus sort special_entr tan tanh topk _unique
_unique2 unique_consecutive unique_dim xlogy
""".split()

RANDOM = """
bernoulli cauchy exponential geometric log_normal multinomial native_dropout normal
normal_functional poisson rand rand_like randint randint_like randn randn_like random randperm
rrelu_with_noise uniform
""".split()

POOLS = "avg_pool2d max_pool2d_with_indices".split()  # touch each window whole

_PRODUCTS = """
mm addmm bmm baddbmm addbmm convolution convolution_backward mkldnn_rnn_layer
mkldnn_rnn_layer_backward _scaled_dot_product_flash_attention_for_cpu
_scaled_dot_product_flash_attention_for_cpu_backward _trilinear
""".split()

# Multiply-accumulates, as shares of rows × columns × the smaller of both
FACTORED = {
    "linalg_cholesky_ex": 2,
    "linalg_lu": 4,
    "linalg_lu_factor_ex": 3,
    "linalg_lu_solve": 4,
    "linalg_solve_triangular": 2,
    "triangular_solve": 2,
    "_linalg_solve_ex": 6,
    "linalg_inv_ex": 8,
    "_linalg_det": 4,
    "_linalg_slogdet": 4,
    "linalg_qr": 8,
    "geqrf": 6,
    "linalg_householder_product": 6,
    "ormqr": 6,
    "linalg_lstsq": 16,
    "linalg_matrix_exp": 40,
    "_linalg_eigh": 40,
    "linalg_eigvals": 80,
    "_linalg_eigvals": 80,
    "linalg_eig": 120,
    "_linalg_svd": 80,
}

FOURIER = "_fft_c2c _fft_c2r _fft_r2c".split()
MARKS = "_record_function_enter_new _record_function_exit".split()  # of the namespace `profiler`

# What else to write instead of the operations that are refused most likely
INSTEAD = {
    "_cdist_forward": "write the distance with torch.matmul",
    "_euclidean_dist": "write the distance with torch.matmul",
    "_foreach_mm": "use torch.bmm of stacked matrices",
    "_grouped_mm": "use torch.bmm, or one matmul a group",
    "_int_mm": "use a matmul of floating point numbers",
    "_scaled_mm": "use a matmul without scales",
    "_embedding_bag": "use torch.nn.functional.embedding and a sum",
    "_native_multi_head_attention": "use torch.nn.functional.scaled_dot_product_attention",
    "_transformer_encoder_layer_fwd": "build the layer from its parts",
}

# The unedited script sums its head's gradient in place, which `cpu_gpt` charges as bytes. A script
# may have as much of it at that price as that one uses for the tokens served; more has the price of
# any product.
ALLOWED = "addmm_"
ALLOWED_WIDTH = 128  # of the unedited script: multiply-accumulates a token and word
