"""The public field numbers of the protocol buffers in a module, as one table.

One line per field: ``label type name number [oneof]``. Source: the ``.proto`` files under ``tensorflow/core/framework``
and ``tensorflow/core/protobuf`` of TensorFlow 2.15 and 2.21 (all proto3). What is not listed (debug information, full
types, the object graph) survives a round trip as unknown fields. ``ModuleDef``, ``ModuleAttachment`` and
``ImageModuleInfo`` are those of the TF1 Hub format.
"""

from __future__ import annotations

ENUMS: dict[str, dict[str, int]] = {
    "TypeSpecClass": {
        "UNKNOWN": 0,
        "SPARSE_TENSOR_SPEC": 1,
        "INDEXED_SLICES_SPEC": 2,
        "RAGGED_TENSOR_SPEC": 3,
        "TENSOR_ARRAY_SPEC": 4,
        "DATA_DATASET_SPEC": 5,
        "DATA_ITERATOR_SPEC": 6,
        "OPTIONAL_SPEC": 7,
        "PER_REPLICA_SPEC": 8,
        "VARIABLE_SPEC": 9,
        "ROW_PARTITION_SPEC": 10,
        "REGISTERED_TYPE_SPEC": 12,
        "EXTENSION_TYPE_SPEC": 13,
    },
    "CheckpointFormatVersion": {"LEGACY": 0, "V1": 1, "V2": 2},
    "VariableSynchronization": {
        "VARIABLE_SYNCHRONIZATION_AUTO": 0,
        "VARIABLE_SYNCHRONIZATION_NONE": 1,
        "VARIABLE_SYNCHRONIZATION_ON_WRITE": 2,
        "VARIABLE_SYNCHRONIZATION_ON_READ": 3,
    },
    "VariableAggregation": {
        "VARIABLE_AGGREGATION_NONE": 0,
        "VARIABLE_AGGREGATION_SUM": 1,
        "VARIABLE_AGGREGATION_MEAN": 2,
        "VARIABLE_AGGREGATION_ONLY_FIRST_REPLICA": 3,
    },
}

MESSAGES: dict[str, str] = {
    "SavedModel": """
        one int64 saved_model_schema_version 1
        many MetaGraphDef meta_graphs 2""",
    "MetaGraphDef": """
        one MetaInfoDef meta_info_def 1
        one GraphDef graph_def 2
        one SaverDef saver_def 3
        map CollectionDef collection_def 4
        map SignatureDef signature_def 5
        many AssetFileDef asset_file_def 6
        one SavedObjectGraph object_graph_def 7""",
    "MetaInfoDef": """
        one string meta_graph_version 1
        one OpList stripped_op_list 2
        one google.protobuf.Any any_info 3
        many string tags 4
        one string tensorflow_version 5
        one string tensorflow_git_version 6
        one bool stripped_default_attrs 7
        map string function_aliases 8""",
    "SavedObjectGraph": """
        many SavedObject nodes 1
        map SavedConcreteFunction concrete_functions 2""",
    "SavedObject": """
        one SavedAsset asset 5 kind
        one SavedFunction function 6 kind
        one SavedVariable variable 7 kind
        one SavedBareConcreteFunction bare_concrete_function 8 kind
        one SavedConstant constant 9 kind
        one CapturedTensor captured_tensor 12 kind
        one string registered_name 13""",
    "SavedFunction": "many string concrete_functions 1",
    "SavedBareConcreteFunction": "one string concrete_function_name 1",
    "CapturedTensor": """
        one string name 1
        one string concrete_function 2""",
    "SavedAsset": "one int32 asset_file_def_index 1",
    "SavedVariable": """
        one DataType dtype 1
        one TensorShapeProto shape 2
        one string name 6""",
    "SavedConstant": "one string operation 1",
    "SavedConcreteFunction": "many int32 bound_inputs 2",
    "CollectionDef": """
        one NodeList node_list 1 kind
        one BytesList bytes_list 2 kind
        one Int64List int64_list 3 kind
        one FloatList float_list 4 kind
        one AnyList any_list 5 kind""",
    "NodeList": "many string value 1",
    "BytesList": "many bytes value 1",
    "Int64List": "many int64 value 1",
    "FloatList": "many float value 1",
    "AnyList": "many google.protobuf.Any value 1",
    "SignatureDef": """
        map TensorInfo inputs 1
        map TensorInfo outputs 2
        one string method_name 3
        map TensorProto defaults 4""",
    "TensorInfo": """
        one string name 1 encoding
        one CooSparse coo_sparse 4 encoding
        one CompositeTensor composite_tensor 5 encoding
        one DataType dtype 2
        one TensorShapeProto tensor_shape 3""",
    "CooSparse": """
        one string values_tensor_name 1
        one string indices_tensor_name 2
        one string dense_shape_tensor_name 3""",
    "CompositeTensor": """
        one TypeSpecProto type_spec 1
        many TensorInfo components 2""",
    "AssetFileDef": """
        one TensorInfo tensor_info 1
        one string filename 2""",
    "SaverDef": """
        one string filename_tensor_name 1
        one string save_tensor_name 2
        one string restore_op_name 3
        one int32 max_to_keep 4
        one bool sharded 5
        one float keep_checkpoint_every_n_hours 6
        one CheckpointFormatVersion version 7""",
    "VariableDef": """
        one string variable_name 1
        one string initializer_name 2
        one string snapshot_name 3
        one SaveSliceInfoDef save_slice_info_def 4
        one bool is_resource 5
        one string initial_value_name 6
        one bool trainable 7
        one VariableSynchronization synchronization 8
        one VariableAggregation aggregation 9""",
    "SaveSliceInfoDef": """
        one string full_name 1
        many int64 full_shape 2
        many int64 var_offset 3
        many int64 var_shape 4""",
    "GraphDef": """
        many NodeDef node 1
        one FunctionDefLibrary library 2
        one int32 version 3
        one VersionDef versions 4""",
    # The same messages as GraphDef, FunctionDefLibrary, FunctionDef, NodeDef and the entries of its map of attributes, with
    # the entries unparsed: most of those in a large graph are alike, and need to be looked at once.
    "SkimmedGraph": """
        many SkimmedNode node 1
        one SkimmedLibrary library 2""",
    "SkimmedLibrary": "many SkimmedFunction function 1",
    "SkimmedFunction": "many SkimmedNode node_def 3",
    "SkimmedNode": """
        one string op 2
        many bytes attr 5""",
    "AttrEntry": """
        one string key 1
        one AttrValue value 2""",
    "VersionDef": """
        one int32 producer 1
        one int32 min_consumer 2
        many int32 bad_consumers 3""",
    "NodeDef": """
        one string name 1
        one string op 2
        many string input 3
        one string device 4
        map AttrValue attr 5""",
    "AttrValue": """
        one AttrListValue list 1 value
        one bytes s 2 value
        one int64 i 3 value
        one float f 4 value
        one bool b 5 value
        one DataType type 6 value
        one TensorShapeProto shape 7 value
        one TensorProto tensor 8 value
        one string placeholder 9 value
        one NameAttrList func 10 value""",
    "AttrListValue": """
        many bytes s 2
        many int64 i 3
        many float f 4
        many bool b 5
        many DataType type 6
        many TensorShapeProto shape 7
        many TensorProto tensor 8
        many NameAttrList func 9""",
    "NameAttrList": """
        one string name 1
        map AttrValue attr 2""",
    "FunctionDefLibrary": """
        many FunctionDef function 1
        many GradientDef gradient 2
        many RegisteredGradient registered_gradients 3""",
    "FunctionDef": """
        one OpDef signature 1
        many NodeDef node_def 3
        map string ret 4
        map AttrValue attr 5
        map string control_ret 6""",
    "GradientDef": """
        one string function_name 1
        one string gradient_func 2""",
    "RegisteredGradient": """
        one string gradient_func 1
        one string registered_op_type 2""",
    "OpList": "many OpDef op 1",
    "OpDef": """
        one string name 1
        many OpArgDef input_arg 2
        many OpArgDef output_arg 3
        many OpAttrDef attr 4
        one string summary 5
        one string description 6
        one OpDeprecation deprecation 8
        one bool is_aggregate 16
        one bool is_stateful 17
        one bool is_commutative 18
        one bool allows_uninitialized_input 19
        many string control_output 20
        one bool is_distributed_communication 21""",
    "OpArgDef": """
        one string name 1
        one string description 2
        one DataType type 3
        one string type_attr 4
        one string number_attr 5
        one string type_list_attr 6
        one bool is_ref 16""",
    "OpAttrDef": """
        one string name 1
        one string type 2
        one AttrValue default_value 3
        one string description 4
        one bool has_minimum 5
        one int64 minimum 6
        one AttrValue allowed_values 7""",
    "OpDeprecation": """
        one int32 version 1
        one string explanation 2""",
    "TensorShapeProto": """
        many Dim dim 2
        one bool unknown_rank 3""",
    "Dim": """
        one int64 size 1
        one string name 2""",
    "TensorProto": """
        one DataType dtype 1
        one TensorShapeProto tensor_shape 2
        one int32 version_number 3
        one bytes tensor_content 4
        many float float_val 5
        many double double_val 6
        many int32 int_val 7
        many bytes string_val 8
        many float scomplex_val 9
        many int64 int64_val 10
        many bool bool_val 11
        many double dcomplex_val 12
        many int32 half_val 13
        many ResourceHandleProto resource_handle_val 14
        many VariantTensorDataProto variant_val 15
        many uint32 uint32_val 16
        many uint64 uint64_val 17
        one bytes float8_val 18""",
    "ResourceHandleProto": """
        one string device 1
        one string container 2
        one string name 3
        one uint64 hash_code 4
        one string maybe_type_name 5""",
    "VariantTensorDataProto": """
        one string type_name 1
        one bytes metadata 2
        many TensorProto tensors 3""",
    "StructuredValue": """
        one NoneValue none_value 1 kind
        one double float64_value 11 kind
        one sint64 int64_value 12 kind
        one string string_value 13 kind
        one bool bool_value 14 kind
        one TensorShapeProto tensor_shape_value 31 kind
        one DataType tensor_dtype_value 32 kind
        one TensorSpecProto tensor_spec_value 33 kind
        one TypeSpecProto type_spec_value 34 kind
        one BoundedTensorSpecProto bounded_tensor_spec_value 35 kind
        one StructuredList list_value 51 kind
        one StructuredList tuple_value 52 kind
        one StructuredDict dict_value 53 kind
        one NamedTupleValue named_tuple_value 54 kind
        one TensorProto tensor_value 55 kind
        one TensorProto numpy_value 56 kind""",
    "NoneValue": "",
    "StructuredList": "many StructuredValue values 1",
    "StructuredDict": "map StructuredValue fields 1",
    "NamedTupleValue": """
        one string name 1
        many PairValue values 2""",
    "PairValue": """
        one string key 1
        one StructuredValue value 2""",
    "TensorSpecProto": """
        one string name 1
        one TensorShapeProto shape 2
        one DataType dtype 3""",
    "BoundedTensorSpecProto": """
        one string name 1
        one TensorShapeProto shape 2
        one DataType dtype 3
        one TensorProto minimum 4
        one TensorProto maximum 5""",
    "TypeSpecProto": """
        one TypeSpecClass type_spec_class 1
        one StructuredValue type_state 2
        one string type_spec_class_name 3
        one int32 num_flat_components 4""",
    "TrackableObjectGraph": "many TrackableObject nodes 1",
    "TrackableObject": "many SerializedTensor attributes 2",
    "SerializedTensor": """
        one string name 1
        one string full_name 2
        one string checkpoint_key 3""",
    "BundleHeaderProto": """
        one int32 num_shards 1
        one int32 endianness 2
        one VersionDef version 3""",
    "BundleEntryProto": """
        one DataType dtype 1
        one TensorShapeProto shape 2
        one int32 shard_id 3
        one int64 offset 4
        one int64 size 5
        one fixed32 crc32c 6
        many TensorSliceProto slices 7""",
    "TensorSliceProto": "many SliceExtent extent 1",
    "SliceExtent": """
        one int64 start 1
        one int64 length 2 has_length""",
    "ModuleDef": """
        one int32 format 1
        many string required_features 2""",
    "ModuleAttachment": """
        one string key 1
        one bytes value 2""",
    "ImageModuleInfo": "one ImageSize default_image_size 1",
    "ImageSize": """
        one int32 height 1
        one int32 width 2""",
}
